//! Why visual tokens cannot be kept or found again: reasons for a warning, since an answer needs no cache.

use std::path::PathBuf;

use candle_core::DType;

use crate::disk::NoSpace;
use crate::interrupt::Interrupted;
use crate::size::shown;

/// What can go wrong with the cache of visual tokens.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says where the cache is.
    #[error("no folder for cached visual tokens: LLAVA_VIDEO_CACHE, XDG_CACHE_HOME and HOME are not set")]
    NoFolder,
    /// There is something else where the folder should be.
    #[error("cannot keep visual tokens in `{}`: it is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// What a stranger can write is not believed.
    #[error("cannot keep visual tokens in `{}`: every user can write to it", path.display())]
    WritableByAll {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file could not be written or removed.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not enough room for an entry.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// An entry that would fill more than the whole cache.
    #[error("{} of visual tokens are more than the cache may hold ({})", shown(*bytes), shown(*cap_bytes))]
    TooLarge {
        /// Size of the entry.
        bytes: u64,
        /// The most that all entries may take.
        cap_bytes: u64,
    },
    /// A clip or checkpoint that is not what it was when its key was made.
    #[error("`{}` changed while it was used", path.display())]
    Changed {
        /// The file or folder.
        path: PathBuf,
    },
    /// An entry that is not what was written.
    #[error("cached visual tokens in `{}` are damaged: {what}", path.display())]
    Damaged {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Something that the cache did not make stands where an entry should.
    #[error("`{}` is not a regular file; the cache leaves it alone", path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
    },
    /// Visual tokens in a dtype that no model computes in.
    #[error("visual tokens in {} cannot be kept", dtype.as_str())]
    Dtype {
        /// The dtype.
        dtype: DType,
    },
    /// Visual tokens could not be brought to the CPU.
    #[error("cannot copy visual tokens")]
    Copy(#[from] candle_core::Error),
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFolder | Self::NotAFolder { .. } | Self::WritableByAll { .. } => {
                Some("name a folder of your own with LLAVA_VIDEO_CACHE".to_owned())
            }
            Self::NoSpace(_) => Some(
                "make room with `llava-video cache clear`, or name a folder on a larger disk with \
                      LLAVA_VIDEO_CACHE"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
