//! The projector: patch features `[T, P, D_v]` -> language width `[T, P, D]`; linear layers with erf GELU between.
//!
//! Reference: `build_vision_projector` of LLaVA-NeXT `multimodal_projector/builder.py`. This GELU is exact, unlike the
//! tower's tanh approximation.

use candle_core::{Result, Tensor};

use crate::checkpoint::{Checkpoint, Error};
use crate::device::Placement;
use crate::linear::{Linear, Pass, Then};

/// The projector.
#[derive(Debug)]
pub struct Projector {
    layers: Vec<Linear>,
}

impl Projector {
    /// Loads the projector.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub fn load(checkpoint: &Checkpoint, placement: &Placement) -> std::result::Result<Self, Error> {
        let linear = |name: &String| Linear::load(&checkpoint.weights, name, true, placement);
        Ok(Self { layers: checkpoint.projector.layers.iter().map(linear).collect::<std::result::Result<_, Error>>()? })
    }

    /// `[T, P, D_v]` -> `[T, P, D]`.
    ///
    /// # Errors
    /// A failing device.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = features.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let is_last = index + 1 == self.layers.len();
            x = layer.forward_then(&x, Pass::Prefill, if is_last { Then::Nothing } else { Then::GeluErf })?;
        }
        Ok(x)
    }
}
