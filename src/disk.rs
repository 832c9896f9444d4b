//! Room on the disk: asked before a large file is begun, and told when there was none.

use std::path::{Path, PathBuf};

use crate::size::shown;

/// A disk, or a quota, that is too full for what should be written.
#[derive(Debug, thiserror::Error)]
#[error("not enough disk space in `{}`: {} needed, {} free", path.display(), shown(*needed_bytes), shown(*free_bytes))]
pub struct NoSpace {
    /// Where it would go.
    pub path: PathBuf,
    /// Bytes still to be written.
    pub needed_bytes: u64,
    /// Bytes that this user can still write.
    pub free_bytes: u64,
}

/// Refuses to start what cannot end: `needed_bytes` are still to be written below `dir`, which need not exist yet.
pub(crate) fn check(dir: &Path, needed_bytes: u64) -> Result<(), NoSpace> {
    match free_bytes(dir) {
        Some(free_bytes) if free_bytes < needed_bytes => {
            Err(NoSpace { path: dir.to_owned(), needed_bytes, free_bytes })
        }
        _ => Ok(()),
    }
}

/// Whether a file cannot grow: a full disk, a quota, a limit of the process.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// What this user can still write where `dir` is or will be; `None` where the system does not tell.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let dir = std::path::absolute(dir).ok()?;
    let existing = dir.ancestors().find(|ancestor| ancestor.exists())?;
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(existing).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        None
    }
}

/// Bytes of all files below a folder; of what cannot be read, none.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Whether two folders, which need not exist yet, are or will be on one disk.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let disk = |path: &Path| {
            let path = std::path::absolute(path).ok()?;
            path.ancestors().find_map(|path| Some(path.metadata().ok()?.dev()))
        };
        disk(one) == disk(other)
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_where_the_folder_will_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let inside = dir.path().join("not/yet/there");
        assert!(check(&inside, 1).is_ok());
        let refused = check(&inside, 1 << 60).expect_err("no disk holds an exabyte");
        assert!(
            refused.free_bytes < refused.needed_bytes && refused.to_string().contains("1.2 EB needed"),
            "{refused}"
        );
    }
}
