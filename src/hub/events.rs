//! What the work of fetching tells: to its user, between its threads, and to the one that waits for it.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;

/// What happens while something is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something is missing and will be fetched.
    Started {
        /// Files that are missing or not whole.
        files: usize,
        /// Bytes still to come.
        bytes: u64,
    },
    /// How far it is.
    Progress {
        /// Bytes that are here of the files that were missing, what an earlier run left included.
        done: u64,
        /// Bytes of these files.
        total: u64,
    },
    /// Another process has to finish first.
    Waiting {
        /// What it does.
        reason: String,
    },
    /// Something failed and will be tried again.
    Retrying {
        /// The file or the listing.
        what: String,
        /// What went wrong.
        reason: String,
        /// How long it waits.
        pause: Duration,
    },
    /// The hub cannot be reached; what the cache has of this revision is used.
    Fallback {
        /// What went wrong.
        reason: String,
        /// The commit in the cache.
        commit: String,
    },
}

/// Why work does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    Failed(Error),
    /// Somebody asked for it, or another thread failed.
    Stopped,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the threads tell the one that waits for them.
pub(super) enum Message<T> {
    Event(Event),
    /// The end, or the panic that was it.
    Finished(std::thread::Result<Result<T, Halt>>),
}

/// A checkpoint that is complete in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The snapshot's directory.
    pub dir: PathBuf,
    /// The commit that the revision means.
    pub commit: String,
    /// Bytes that were received for it.
    pub received_bytes: u64,
}
