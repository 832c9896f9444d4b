//! The record that an archive was unpacked whole: what of it is where, written last.
//!
//! A record counts only while all its files are there in their sizes, and as long as the publisher has not replaced the
//! archive.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::FetchError;
use super::place::write_whole;
use super::unpack::Unpacked;

/// The folder of the records, and of the lock.
pub(super) const FOLDER: &str = ".fetched";

/// The first line; one for each file follows: its size in bytes and its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) repository: String,
    /// Names and checksums of the archive's pieces.
    pub(super) pieces: Vec<(String, String)>,
    /// Where it was unpacked, below the folder of the data.
    pub(super) folder: String,
}

impl Marker {
    fn path(&self, data: &Path) -> PathBuf {
        let plain = |name: &str| name.replace('/', "--");
        let first = self.pieces.first().map_or("", |(name, _)| name.as_str());
        data.join(FOLDER).join(plain(&self.repository)).join(format!("{}.jsonl", plain(first)))
    }

    /// Whether everything that this record would tell is there.
    pub(super) fn holds(&self, data: &Path) -> bool {
        self.check(data).unwrap_or(false)
    }

    fn check(&self, data: &Path) -> std::io::Result<bool> {
        let mut lines = BufReader::new(std::fs::File::open(self.path(data))?).lines();
        let first: Self = serde_json::from_str(&lines.next().transpose()?.unwrap_or_default())?;
        if first != *self {
            return Ok(false);
        }
        let root = data.join(&self.folder);
        for line in lines {
            let (bytes, path): (u64, String) = serde_json::from_str(&line?)?;
            if std::fs::metadata(root.join(path))?.len() != bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the record, after what it tells has reached the disk.
    pub(super) fn write(&self, data: &Path, files: &[Unpacked]) -> Result<(), FetchError> {
        let path = self.path(data);
        let write = |source| FetchError::Write { path: path.clone(), source };
        sync(data).map_err(write)?;
        write_whole(&path, |file| {
            writeln!(file, "{}", serde_json::to_string(self)?)?;
            for Unpacked { path, bytes } in files {
                writeln!(file, "{}", serde_json::to_string(&(bytes, path))?)?;
            }
            Ok(())
        })
    }
}

/// Waits until everything written has reached the disk.
#[cfg(target_os = "linux")]
fn sync(dir: &Path) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(dir)?)?)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn sync(_dir: &Path) -> std::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(not(unix))]
fn sync(_dir: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_record_counts_while_its_files_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let pieces = vec![("video/a.zip".to_owned(), "0123".to_owned())];
        let marker = Marker { repository: "o/n@v".to_owned(), pieces, folder: "bench".to_owned() };
        assert!(!marker.holds(dir.path()));
        let file = dir.path().join("bench/data/x.mp4");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "four").unwrap();
        marker.write(dir.path(), &[Unpacked { path: "data/x.mp4".to_owned(), bytes: 4 }]).unwrap();
        assert!(marker.holds(dir.path()));
        let replaced = Marker { pieces: vec![("video/a.zip".to_owned(), "4567".to_owned())], ..marker.clone() };
        assert!(!replaced.holds(dir.path()));
        fs::write(&file, "three").unwrap();
        assert!(!marker.holds(dir.path()));
        fs::remove_file(&file).unwrap();
        assert!(!marker.holds(dir.path()));
    }
}
