//! The library's error: one variant per module that can fail.

use crate::interrupt::Interrupted;
use crate::{checkpoint, device, hub, memory, model_name, prompt, video};

/// Anything the library can fail with; each variant shows its module's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint on disk.
    #[error(transparent)]
    Checkpoint(checkpoint::Error),
    /// Getting it from the hub, or from the hub's cache.
    #[error(transparent)]
    Hub(hub::Error),
    /// A model's name.
    #[error(transparent)]
    ModelName(model_name::Error),
    /// The device.
    #[error(transparent)]
    Device(#[from] device::Error),
    /// The division of layers over devices.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// The prompt.
    #[error(transparent)]
    Prompt(#[from] prompt::Error),
    /// The video.
    #[error(transparent)]
    Video(#[from] video::Error),
    /// The computation itself.
    #[error("the computation failed")]
    Compute(#[from] candle_core::Error),
    /// Pooling that leaves no visual tokens.
    #[error("mm_spatial_pool_stride {stride} leaves nothing of a patch grid of {grid}x{grid}")]
    PoolStride {
        /// The stride asked for.
        stride: usize,
        /// Patches a side.
        grid: usize,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<checkpoint::Error> for Error {
    /// An interrupt stays one, wherever it came.
    fn from(error: checkpoint::Error) -> Self {
        match error {
            checkpoint::Error::Interrupted(interrupted) => Self::Interrupted(interrupted),
            error => Self::Checkpoint(error),
        }
    }
}

impl From<hub::Error> for Error {
    /// An interrupt stays one, wherever it came.
    fn from(error: hub::Error) -> Self {
        match error {
            hub::Error::Interrupted(interrupted) => Self::Interrupted(interrupted),
            error => Self::Hub(error),
        }
    }
}

impl From<model_name::Error> for Error {
    /// What the hub says stays its own.
    fn from(error: model_name::Error) -> Self {
        match error {
            model_name::Error::Hub(error) => error.into(),
            error => Self::ModelName(error),
        }
    }
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint(error) => error.hint(),
            Self::Hub(error) => error.hint(),
            Self::ModelName(error) => error.hint(),
            Self::Device(error) => error.hint(),
            Self::Memory(error) => error.hint(),
            Self::Prompt(error) => error.hint(),
            Self::Video(error) => error.hint(),
            Self::Compute(_) | Self::PoolStride { .. } | Self::Interrupted(_) => None,
        }
    }
}
