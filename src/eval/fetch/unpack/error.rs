//! Why an archive is not unpacked.

use std::path::PathBuf;

use crate::disk::{NoSpace, is_full};
use crate::interrupt::Interrupted;
use crate::size::{counted, shown};

/// An archive that was not unpacked, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Something in it must not be unpacked.
    #[error("`{archive}` is not unpacked: its entry `{entry}` {why}")]
    Refused {
        /// The archive.
        archive: String,
        /// What it calls the entry.
        entry: String,
        /// Why not.
        why: Refusal,
    },
    /// It would become too large, or too many.
    #[error(
        "`{archive}` is not unpacked: it would become {} ({}), too much for its {}",
        shown(*bytes),
        counted(*entries, "file"),
        shown(*archive_bytes)
    )]
    Bomb {
        /// The archive.
        archive: String,
        /// Entries that it states, or that were come by.
        entries: usize,
        /// Their bytes.
        bytes: u64,
        /// Its own length.
        archive_bytes: u64,
    },
    /// It is no archive of its kind, or not a whole one.
    #[error("`{archive}` cannot be unpacked: {message}")]
    Damaged {
        /// The archive.
        archive: String,
        /// What is wrong.
        message: String,
    },
    /// A file of that name is there already, and is not that of the archive.
    #[error("`{}` is there already and is not what `{archive}` holds under this name", path.display())]
    Differs {
        /// The archive.
        archive: String,
        /// The file.
        path: PathBuf,
    },
    /// No room for what it states.
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
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It begins at the root of the file system, or with a drive.
    #[error("has an absolute path")]
    Absolute,
    /// It has `..` in it.
    #[error("leads out of its folder")]
    Outside,
    /// No name that every file system could hold.
    #[error("has no usable name")]
    Name,
    /// A link whose target is not a file of the same archive.
    #[error("is a link that leads to no file of the archive")]
    Link,
    /// A device, a pipe, a sparse file.
    #[error("is neither a file nor a folder")]
    Kind,
    /// Two entries of one name.
    #[error("is there twice")]
    Twice,
    /// More or less comes than was stated.
    #[error("has another size than it states")]
    Size,
    /// A header that is longer than any honest one.
    #[error("has a header that is too long")]
    Header,
}

impl UnpackError {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { .. } | Self::Bomb { .. } => {
                Some("do not unpack it by other means: tell its publisher, or take the videos from their source")
            }
            Self::Differs { .. } => Some("move it away, or choose another folder with --data"),
            Self::NoSpace(_) => Some("make room, or choose a folder on a larger disk with --data"),
            Self::Write { source, .. } if is_full(source) => {
                Some("make room; then run the same command again: it goes on where it stopped")
            }
            _ => None,
        }
    }
}
