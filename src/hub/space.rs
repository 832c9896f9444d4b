//! Room on the disk.

use std::path::Path;

use super::Error;

/// Left free beside what is fetched, for folders, links and locks.
const MARGIN_BYTES: u64 = 1 << 20;

/// Refuses to start what cannot end: `needed` bytes are still to be written below `dir`, which need not exist yet.
pub(super) fn check(dir: &Path, needed: u64) -> Result<(), Error> {
    let needed = needed.saturating_add(MARGIN_BYTES);
    match free_bytes(dir) {
        Some(free) if free < needed => Err(Error::NoSpace { path: dir.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

/// What this user can still write where `dir` is or will be; `None` where the system does not tell.
fn free_bytes(dir: &Path) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_where_the_folder_will_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let inside = dir.path().join("not/yet/there");
        assert!(check(&inside, 0).is_ok());
        assert!(matches!(check(&inside, 1 << 60), Err(Error::NoSpace { needed, free, .. }) if free < needed));
    }
}
