//! Locks between processes on open files (`flock`): each ends with its file, however the process ends.

use std::fs::{File, TryLockError};
use std::path::Path;

/// With whom a lock can be held at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With others who share it.
    Shared,
    /// With nobody.
    Exclusive,
}

/// What came of asking for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is held until the file is closed.
    Held,
    /// Somebody else holds it in a way that forbids it.
    ByAnother,
    /// The file system cannot lock at all: some of the network and of user space.
    NoLocks,
}

/// Asks for a lock and does not wait.
///
/// # Errors
/// A system that can lock and fails.
pub(crate) fn try_lock(file: &File, mode: Mode) -> std::io::Result<Taken> {
    let locked = match mode {
        Mode::Shared => file.try_lock_shared(),
        Mode::Exclusive => file.try_lock(),
    };
    match locked {
        Ok(()) => Ok(Taken::Held),
        Err(TryLockError::WouldBlock) => Ok(Taken::ByAnother),
        Err(TryLockError::Error(error)) if has_no_locks(&error) => Ok(Taken::NoLocks),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a path still leads to an open file: a lock on one that was removed or replaced excludes nobody.
pub(crate) fn is_still_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((file.metadata().map(id), path.metadata().map(id)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

fn has_no_locks(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    error.kind() == std::io::ErrorKind::Unsupported
}
