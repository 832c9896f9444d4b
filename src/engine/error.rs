//! What the engine refuses or fails with.

use std::fmt;
use std::path::PathBuf;

use crate::interrupt::Interrupted;
use crate::{checkpoint, device, memory, prompt, video};

/// Something that was asked for and means nothing for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureMisfit {
    /// A number of frames.
    Frames,
    /// A number of frames per second.
    Fps,
    /// Where to start.
    Start,
    /// Where to end.
    End,
    /// Moments.
    Moments,
    /// To tell the model the times of the frames.
    TimeInstruction,
}

impl fmt::Display for PictureMisfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "a number of frames",
            Self::Fps => "a number of frames per second",
            Self::Start => "a start",
            Self::End => "an end",
            Self::Moments => "a moment",
            Self::TimeInstruction => "a time instruction",
        })
    }
}

/// An inquiry that the engine refuses, or that fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stage of the library failed.
    #[error(transparent)]
    Stage(#[from] crate::Error),
    /// A picture was given, and something asked for needs a video.
    #[error("`{}` is a picture; {what} does not apply", path.display())]
    NotForAPicture {
        /// The picture.
        path: PathBuf,
        /// What needs a video.
        what: PictureMisfit,
    },
    /// Several files were given, and one of them is a video.
    #[error("several files can only be pictures, and `{}` is a video", path.display())]
    OnlyPictures {
        /// The video.
        path: PathBuf,
    },
    /// A picture whose shape leaves nothing of one of its sides.
    #[error("`{}`: a picture of {width}x{height} is too thin", path.display())]
    TooThin {
        /// The picture.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// A file that should hold a picture and gave none.
    #[error("`{}`: there is no picture in it", path.display())]
    NoPicture {
        /// The file.
        path: PathBuf,
    },
    /// A clip that holds another number of frames at every reading.
    #[error("the clip has another number of frames at every reading")]
    Unsteady,
    /// An answer to choose, and none to choose from.
    #[error("there are no answers to choose from")]
    NothingToChoose,
    /// The onlooker wants no more of the answer.
    #[error("nobody takes the answer")]
    Abandoned,
}

macro_rules! through_the_library {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Stage(error.into())
            }
        })*
    };
}

through_the_library!(
    checkpoint::Error,
    device::Error,
    memory::Error,
    prompt::Error,
    video::Error,
    Interrupted,
    candle_core::Error
);
