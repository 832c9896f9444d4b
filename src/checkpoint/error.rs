//! Everything that can be wrong with a checkpoint, and what to try.

use std::path::PathBuf;

use super::layout::KNOWN_ARCHITECTURES;
use crate::disk::NoSpace;
use crate::interrupt::Interrupted;
use crate::quantization::Format;
use crate::size::shown;

/// Everything that can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A text file longer than any real one of its name.
    #[error(
        "`{}` has {}, more than the {} that a file of this name may have",
        path.display(), shown(*bytes), shown(*max_bytes)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        max_bytes: u64,
    },
    /// A JSON file that is not JSON, or not an object.
    #[error("`{}` is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A key with a value that cannot be used.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The config file.
        path: PathBuf,
        /// Which key, what was found, and what is expected.
        message: String,
    },
    /// An architecture that this program does not implement.
    #[error(
        "`{}`: unknown architecture {found}; this program knows {}",
        path.display(), KNOWN_ARCHITECTURES.join(" and ")
    )]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// What `architectures` (or `model_type`) says.
        found: String,
    },
    /// A config that does not say how to look at still pictures, or asks for what is not known here.
    #[error("`{}`: this checkpoint cannot answer questions about pictures: {reason}", path.display())]
    Pictures {
        /// The config file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        reason: String,
    },
    /// A checkpoint without a vision tower.
    #[error("`{}` describes a language model ({found}), which cannot see videos", path.display())]
    LanguageOnly {
        /// The config file.
        path: PathBuf,
        /// Its architecture.
        found: &'static str,
    },
    /// A GGUF file that this program did not write, or not in this version.
    #[error("cannot use `{}`: {message}", path.display())]
    ForeignGguf {
        /// The file.
        path: PathBuf,
        /// What it is.
        message: String,
    },
    /// Quantizing what is quantized.
    #[error("`{}` is already quantized (`{name}` is {})", path.display(), format.name())]
    AlreadyQuantized {
        /// The checkpoint.
        path: PathBuf,
        /// One of its tensors.
        name: String,
        /// How it is stored.
        format: Format,
    },
    /// A GGUF file that could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not enough room for a file.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// A directory with no safetensors files.
    #[error("no safetensors weights in `{}`", dir.display())]
    NoWeights {
        /// The checkpoint directory.
        dir: PathBuf,
    },
    /// A weight file that is cut short or not a safetensors file.
    #[error("weight file `{}` is damaged: {message}", path.display())]
    DamagedWeights {
        /// The weight file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Tensors missing, unexpected or of the wrong shape.
    #[error("the tensors in `{}` do not fit its config: {message}", dir.display())]
    Tensors {
        /// The checkpoint.
        dir: PathBuf,
        /// All names, by kind of fault.
        message: String,
    },
    /// A tensor could not be brought onto the device.
    #[error("cannot load tensor `{name}`")]
    Load {
        /// The tensor's name in the original layout.
        name: String,
        /// The backend's reason.
        source: candle_core::Error,
    },
    /// A file whose parts do not come to the size that was planned for it; nothing is left of it.
    #[error("cannot write `{}`: tensor `{name}` has {written} bytes where {planned} were planned", path.display())]
    Miscounted {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Bytes that were written.
        written: u64,
        /// Bytes that the head of the file promises.
        planned: u64,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LanguageOnly { .. } => {
                Some("`llava-video score --text-only FILE --model DIR` takes such a checkpoint".to_owned())
            }
            Self::ForeignGguf { .. } => {
                Some("write one from a checkpoint with `llava-video model quantize REPO -o FILE.gguf`".to_owned())
            }
            Self::AlreadyQuantized { .. } => Some("quantize the checkpoint it was made from".to_owned()),
            Self::NoSpace(_) => Some("make room, or write to a larger disk".to_owned()),
            Self::DamagedWeights { .. } => Some("the file may be an unfinished download; fetch it again".to_owned()),
            _ => None,
        }
    }
}
