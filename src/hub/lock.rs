//! One process at a time downloads a blob: a lock file beside the cache, as Python's huggingface_hub takes it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::Error;

/// How often a lock that somebody else holds is tried again.
const POLL: Duration = Duration::from_millis(100);

/// Held until it is dropped; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock; `waiting` is called before each new try and can give up.
    pub(super) fn wait<E: From<Error>>(path: &Path, mut waiting: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        loop {
            if let Some(lock) = Self::take(path)? {
                return Ok(lock);
            }
            waiting()?;
            std::thread::sleep(POLL);
        }
    }

    /// Takes the lock if nobody holds it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, Error> {
        let write = |source| Error::Write { path: path.to_owned(), source };
        loop {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir).map_err(write)?;
            }
            let file = match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
                // The folder was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(write)?,
            };
            match file.try_lock() {
                // A lock on a file that was removed meanwhile excludes nobody.
                Ok(()) if is_still_at(&file, path) => return Ok(Some(Self { _file: file })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                // A file system without locks. What is written is the same bytes at the same places whoever does it, and
                // is checked before it is put in place, so that a lock saves work but is not needed for safety.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(Some(Self { _file: file }));
                }
                Err(TryLockError::Error(error)) => return Err(write(error)),
            }
        }
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_let_go_on_drop() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b.lock");
        let held = Lock::take(&path).expect("writable");
        assert!(held.is_some());
        assert!(Lock::take(&path).expect("writable").is_none());
        drop(held);
        assert!(Lock::take(&path).expect("writable").is_some());
    }
}
