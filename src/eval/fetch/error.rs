//! Why a benchmark was not fetched.

use std::path::PathBuf;

use super::unpack::UnpackError;
use crate::disk::{NoSpace, is_full};
use crate::eval::data::DataError;
use crate::hub;
use crate::interrupt::Interrupted;

/// A benchmark that was not fetched, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The hub, or its cache.
    #[error(transparent)]
    Hub(hub::Error),
    /// No such split or part; tables that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The repository is not as it was when this program was written.
    #[error("`{repository}` has no {expected}")]
    NoFile {
        /// The repository.
        repository: String,
        /// The names that were looked for, `*` for any text.
        expected: String,
    },
    /// An archive that was not unpacked.
    #[error(transparent)]
    Unpack(UnpackError),
    /// Another file has the name of one that is to be put there.
    #[error("`{}` is there already and is not what `{repository}` holds under this name", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// The repository.
        repository: String,
    },
    /// Another process fetches to the same folder.
    #[error("another process is fetching to `{}`", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// No room for what is missing.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<hub::Error> for FetchError {
    /// An interrupt stays one, wherever it came.
    fn from(error: hub::Error) -> Self {
        match error {
            hub::Error::Interrupted(interrupted) => Self::Interrupted(interrupted),
            error => Self::Hub(error),
        }
    }
}

impl From<UnpackError> for FetchError {
    /// An interrupt stays one, wherever it came.
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::Interrupted(interrupted) => Self::Interrupted(interrupted),
            error => Self::Unpack(error),
        }
    }
}

impl FetchError {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Hub(hub::Error::Unreachable { connected: false, .. }) => {
                "check the network connection and HTTPS_PROXY; then run the same command again"
            }
            Self::Hub(hub::Error::NotFound { .. }) => {
                "its publisher has moved it: name the new place, or a copy, with --repository OWNER/NAME"
            }
            Self::Hub(error) => return error.hint(),
            Self::Unpack(error) => return error.hint().map(str::to_owned),
            Self::NoFile { .. } => {
                "its publisher has changed it: name an older revision, or a copy, with --repository OWNER/NAME@REVISION"
            }
            Self::Differs { .. } => "move it away, or choose another folder with --data",
            Self::Busy { .. } => "wait until it has finished, or stop it",
            Self::NoSpace(_) => {
                "make room, choose a larger disk with --data and HF_HOME, or delete each archive once it is unpacked, \
                 with --discard-archives"
            }
            Self::Write { source, .. } if is_full(source) => {
                "make room; then run the same command again: it goes on where it stopped"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
