//! Locks between processes: files beside the cache that are locked, never read.
//!
//! One per blob, held by whoever downloads it, at the path and in the manner of Python's huggingface_hub (`flock`), so
//! that the two wait for each other. One per repository, which Python does not know: downloads share it, and a removal
//! has it alone.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::error::Error;
pub(super) use crate::file_lock::Mode;
use crate::file_lock::{Taken, is_still_at, try_lock};

/// How often a lock that somebody else holds is tried again.
const POLL: Duration = Duration::from_millis(100);

/// Held until it is dropped; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    excludes: bool,
}

impl Lock {
    /// Waits for the lock; `waiting` is called before each new try and can give up.
    pub(super) fn wait<E: From<Error>>(
        path: &Path,
        mode: Mode,
        mut waiting: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        loop {
            if let Some(lock) = Self::take(path, mode)? {
                return Ok(lock);
            }
            waiting()?;
            std::thread::sleep(POLL);
        }
    }

    /// Takes the lock if nobody else holds it in a way that forbids it.
    pub(super) fn take(path: &Path, mode: Mode) -> Result<Option<Self>, Error> {
        let write = |source| Error::Write { path: path.to_owned(), source };
        loop {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir).map_err(write)?;
            }
            let file = match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
                // The folder was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                // Another user's lock file can be locked all the same.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    File::open(path).map_err(|_| write(error))?
                }
                other => other.map_err(write)?,
            };
            match try_lock(&file, mode).map_err(write)? {
                Taken::Held if is_still_at(&file, path) => return Ok(Some(Self { _file: file, excludes: true })),
                Taken::Held => {}
                Taken::ByAnother => return Ok(None),
                Taken::NoLocks => return Ok(Some(Self { _file: file, excludes: false })),
            }
        }
    }

    /// Whether it keeps others away; not where the file system has no locks.
    pub(super) fn excludes(&self) -> bool {
        self.excludes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_let_go_on_drop() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b.lock");
        let take = |mode| Lock::take(&path, mode).expect("writable");
        let held = take(Mode::Exclusive);
        assert!(held.as_ref().is_some_and(Lock::excludes));
        assert!(take(Mode::Exclusive).is_none() && take(Mode::Shared).is_none());
        drop(held);
        let shared = [take(Mode::Shared), take(Mode::Shared)];
        assert!(shared.iter().all(Option::is_some) && take(Mode::Exclusive).is_none());
        drop(shared);
        assert!(take(Mode::Exclusive).is_some());
    }
}
