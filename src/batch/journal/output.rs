//! The output as a file: whole lines are appended to it, and what is not whole is cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::lines::Place;

/// A file that ends with a whole line, or will before the next one is written.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    path: PathBuf,
    whole_bytes: u64,
    /// Whether there is more in the file than what is whole.
    has_more: bool,
}

impl Output {
    /// Opens or makes the file. All of it counts as whole until [`keep`](Self::keep) says otherwise.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        check(path)?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(Error::write(path))?;
        let whole_bytes = file.metadata().map_err(Error::read(path))?.len();
        if whole_bytes == 0 {
            sync_folder(path);
        }
        Ok(Self { file, path: path.to_owned(), whole_bytes, has_more: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Says how much of the file is whole; the rest goes with the next line, or with [`cut`](Self::cut).
    pub(crate) fn keep(&mut self, whole_bytes: u64) {
        self.has_more |= whole_bytes < self.whole_bytes;
        self.whole_bytes = whole_bytes;
    }

    /// Cuts off what is not whole.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if self.has_more {
            self.file.set_len(self.whole_bytes)?;
            self.has_more = false;
        }
        Ok(())
    }

    /// Writes a line in one piece, or takes back what was written of it.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.cut()?;
        self.has_more = true;
        let written = (&self.file).write_all(line);
        match written {
            Ok(()) => {
                self.whole_bytes += line.len() as u64;
                self.has_more = false;
                Ok(())
            }
            Err(error) => {
                // Whether it went is asked by `is_whole`.
                let _ = self.cut();
                Err(error)
            }
        }
    }

    /// Whether nothing half is in the file.
    pub(super) fn is_whole(&self) -> bool {
        !self.has_more
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads a line again; whatever is there now.
pub(crate) fn read_line(mut file: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut line = vec![0; place.length_bytes];
    file.seek(SeekFrom::Start(place.offset_bytes))?;
    file.read_exact(&mut line)?;
    Ok(line)
}

/// Refuses what cannot hold records: a pipe would wait for its reader, a folder fail later.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(Error::NotAFile { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// Whether two paths lead to one file; not if either leads nowhere.
pub fn same_file(a: &Path, b: &Path) -> bool {
    matches!((identity(a), identity(b)), (Some(a), Some(b)) if a == b)
}

/// What the paths that lead to a file have in common: its device and its number there.
#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What the paths that lead to a file have in common.
#[cfg(not(unix))]
pub(crate) fn identity(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Makes the making or renaming of a file last.
pub(crate) fn sync_folder(path: &Path) {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Where folders cannot be synced, the file may be lost with the power.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_goes_before_the_next_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.jsonl");
        std::fs::write(&path, "one\nha").expect("writable");
        let text = || std::fs::read_to_string(&path).expect("readable");
        let mut output = Output::open(&path).expect("writable");
        output.keep(4);
        assert_eq!((output.is_whole(), text().as_str()), (false, "one\nha"), "nothing is cut yet");
        output.append(b"two\n").expect("writable");
        assert_eq!((output.is_whole(), text().as_str()), (true, "one\ntwo\n"));
        output.keep(0);
        output.cut().expect("writable");
        assert_eq!(text(), "");
    }

    #[cfg(unix)]
    #[test]
    fn only_files_are_written_to() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| matches!(Output::open(path), Err(Error::NotAFile { .. }));
        assert!(refused(dir.path()) && refused(Path::new("/dev/null")));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        assert!(refused(&pipe));
        let nowhere = Output::open(&dir.path().join("not/there.jsonl")).expect_err("no folder");
        assert!(matches!(nowhere, Error::Write { .. }), "{nowhere:?}");
    }

    #[cfg(unix)]
    #[test]
    fn one_file_has_many_paths() {
        let dir = tempfile::tempdir().expect("a folder");
        let [a, b, link, linked] = ["a", "b", "link", "linked"].map(|name| dir.path().join(name));
        std::fs::write(&a, "").expect("writable");
        std::fs::write(&b, "").expect("writable");
        std::os::unix::fs::symlink(&a, &link).expect("a link");
        std::fs::hard_link(&a, &linked).expect("a link");
        assert!(same_file(&a, &link) && same_file(&a, &linked) && same_file(&a, &dir.path().join("./a")));
        let nowhere = dir.path().join("nowhere");
        assert!(!same_file(&a, &b) && !same_file(&a, &nowhere) && !same_file(&nowhere, &nowhere));
    }
}
