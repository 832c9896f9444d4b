//! Which entries go when the cache is full: those that were not used for longest.

use super::error::Error;
use super::folder::{Folder, Stored, remove, remove_if_dead};

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// How many entries.
    pub entries: usize,
    /// Their size, and that of what processes that ended have left unfinished.
    pub bytes: u64,
}

impl Freed {
    fn add_entry(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes += bytes;
    }
}

/// Removes the entries that were used least recently, until all but `except` take at most `room_bytes`. What cannot be
/// removed is passed over for what can.
///
/// # Errors
/// Entries that still take more; the first that could not be removed says why.
pub(super) fn make_room(entries: Vec<Stored>, room_bytes: u64) -> Result<Freed, Error> {
    let mut taken: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut freed = Freed::default();
    let mut failure = None;
    for entry in least_recent_first(entries) {
        if taken <= room_bytes {
            break;
        }
        match remove(&entry.path) {
            Ok(was_there) => {
                taken -= entry.bytes;
                if was_there {
                    freed.add_entry(entry.bytes);
                }
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if taken > room_bytes => Err(error),
        _ => Ok(freed),
    }
}

/// Of entries that were used at the same time, the order is that of their names.
fn least_recent_first(mut entries: Vec<Stored>) -> Vec<Stored> {
    entries.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
    entries
}

/// Removes what processes that have ended left unfinished; returns its size.
pub(super) fn remove_dead_partials(folder: &Folder) -> Result<u64, Error> {
    let partials = folder.list()?.partials;
    Ok(partials.iter().filter(|partial| remove_if_dead(partial)).map(|partial| partial.bytes).sum())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Entries of these sizes, and seconds since they were used.
    fn entries(dir: &std::path::Path, sizes_and_ages: &[(u64, u64)]) -> Vec<Stored> {
        let entry = |(at, &(bytes, age_secs)): (usize, &(u64, u64))| {
            let path = dir.join(at.to_string());
            std::fs::write(&path, "").expect("a file");
            Stored { path, bytes, used: SystemTime::now() - Duration::from_secs(age_secs) }
        };
        sizes_and_ages.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn the_least_recently_used_go_first_and_no_more_than_must() {
        for (room_bytes, left) in
            [(100, &[0, 1, 2, 3][..]), (60, &[0, 1, 2, 3]), (59, &[0, 2, 3]), (39, &[2, 3]), (10, &[2])]
        {
            let dir = tempfile::tempdir().expect("a folder");
            let all = entries(dir.path(), &[(10, 30), (20, 40), (10, 5), (20, 10)]);
            let freed = make_room(all, room_bytes).expect("removable");
            let remaining: Vec<usize> = (0..4).filter(|at| dir.path().join(at.to_string()).exists()).collect();
            assert_eq!(remaining, left, "{room_bytes}");
            assert_eq!(freed.entries, 4 - left.len());
        }
    }

    #[test]
    fn what_another_process_removed_counts_as_gone_and_not_as_freed() {
        let dir = tempfile::tempdir().expect("a folder");
        let all = entries(dir.path(), &[(10, 3), (10, 2), (10, 1)]);
        std::fs::remove_file(&all[0].path).expect("it was there");
        assert_eq!(make_room(all, 20).expect("removable"), Freed::default());
        assert!(dir.path().join("1").exists());
    }

    #[test]
    fn what_cannot_be_removed_is_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut all = entries(dir.path(), &[(10, 3), (10, 2), (10, 1)]);
        all[0].path = dir.path().to_owned();
        assert_eq!(make_room(all.clone(), 20).expect("another goes"), Freed { entries: 1, bytes: 10 });
        assert!(matches!(make_room(all, 0), Err(Error::Write { .. })));
    }
}
