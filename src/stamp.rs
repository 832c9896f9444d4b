//! What the system says of a file, so that a change or a replacement is noticed later without reading it again.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    unix: Unix,
}

/// What only Unix tells; the time of change cannot be set back by a program.
#[cfg(unix)]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unix {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at the file that `path` leads to.
    ///
    /// # Errors
    /// A file that cannot be looked at.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, &path.metadata()?))
    }

    fn new(path: &Path, metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            unix: Unix {
                device: metadata.dev(),
                inode: metadata.ino(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
        }
    }

    /// Whether the path still leads to this file, unchanged.
    pub(crate) fn is_current(&self) -> bool {
        Self::of(&self.path).is_ok_and(|now| now == *self)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size and the time of its last modification, as text.
    pub(crate) fn size_and_time(&self) -> String {
        let since = self.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        format!("{} bytes of {:?} ns", self.bytes, since.map(|time| time.as_nanos()))
    }

    /// The time of its last change, which no program can set, as text; empty where the system has none.
    pub(crate) fn time_of_change(&self) -> String {
        #[cfg(unix)]
        {
            format!("changed at {:?}", self.unix.changed)
        }
        #[cfg(not(unix))]
        {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_a_replacement_and_a_removal_are_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&path, "one").expect("a file");
        let stamp = Stamp::of(&path).expect("it is there");
        assert!(stamp.is_current());
        std::fs::write(&path, "four").expect("a longer one");
        assert!(!stamp.is_current());
        let stamp = Stamp::of(&path).expect("it is there");
        std::fs::write(&other, "five").expect("another of the same length");
        std::fs::rename(&other, &path).expect("a replacement");
        assert!(!stamp.is_current());
        let stamp = Stamp::of(&path).expect("it is there");
        std::fs::remove_file(&path).expect("a removal");
        assert!(!stamp.is_current() && Stamp::of(&path).is_err());
    }
}
