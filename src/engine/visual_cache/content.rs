//! The content of a clip, by which it is known whatever it is called: a hash of all its bytes.
//!
//! BLAKE3, since clips come from strangers: nobody can make two clips of the same hash, one of which would then be
//! answered about with the tokens of the other.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

use super::error::Error;
use crate::interrupt::Interrupt;
use crate::stamp::Stamp;

/// Bytes that are hashed at once, on all cores.
const BUFFER_BYTES: usize = 4 << 20;

/// Bytes that are read between two looks at the interrupt: a quarter of a second where a disk gives 1 MB/s.
const READ_BYTES: usize = 256 << 10;

/// A clip's content: of a file its bytes, of a directory the names in it and the bytes of its files.
#[derive(Debug, Clone)]
pub struct Content {
    hash: Hash,
    stamps: Vec<Stamp>,
}

impl Content {
    /// Reads everything.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Interrupted`].
    pub fn of(path: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let stamp = Stamp::of(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::since(stamp, interrupt)
    }

    /// Reads everything of a file that was looked at before. Where it has changed since, this content is not what
    /// whoever opened it then will see, and nothing is kept of it.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn since(stamp: Stamp, interrupt: &Interrupt) -> Result<Self, Error> {
        let path = &stamp.path().to_owned();
        let read = |source| Error::Read { path: path.to_owned(), source };
        let mut stamps = vec![stamp];
        let mut reader = Reader { buffer: vec![0; BUFFER_BYTES], interrupt };
        if !path.is_dir() {
            return Ok(Self { hash: reader.hash(path)?, stamps });
        }
        let mut hasher = Hasher::new();
        for file in sorted_entries(path).map_err(read)? {
            // Names decide which files are frames, and in which order.
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
            if file.is_file() {
                stamps.push(Stamp::of(&file).map_err(|source| Error::Read { path: file.clone(), source })?);
                hasher.update(b"file").update(reader.hash(&file)?.as_bytes());
            } else {
                hasher.update(b"other");
            }
        }
        Ok(Self { hash: hasher.finalize(), stamps })
    }

    /// The hash, 256 bits of it.
    pub fn to_hex(&self) -> String {
        self.hash.to_string()
    }

    /// The first file that is not what it was when it was hashed.
    pub(super) fn changed(&self) -> Option<&Path> {
        self.stamps.iter().find(|stamp| !stamp.is_current()).map(Stamp::path)
    }
}

fn sorted_entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

struct Reader<'i> {
    buffer: Vec<u8>,
    interrupt: &'i Interrupt,
}

impl Reader<'_> {
    fn hash(&mut self, path: &Path) -> Result<Hash, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        // A pipe or a device may have no end.
        if !path.is_file() {
            return Err(failed(std::io::Error::other("it is not a regular file")));
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut hasher = Hasher::new();
        loop {
            let filled = self.fill(&mut file, failed)?;
            hasher.update_rayon(&self.buffer[..filled]);
            if filled < self.buffer.len() {
                return Ok(hasher.finalize());
            }
        }
    }

    /// Fills the buffer as far as the file goes.
    fn fill(&mut self, file: &mut File, failed: impl Fn(std::io::Error) -> Error) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            self.interrupt.check()?;
            let end = self.buffer.len().min(filled + READ_BYTES);
            match file.read(&mut self.buffer[filled..end]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn content(path: &Path) -> Content {
        Content::of(path, &Interrupt::default()).expect("readable")
    }

    #[test]
    fn the_bytes_decide_and_the_name_does_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for bytes in [0, 1, READ_BYTES, BUFFER_BYTES - 1, BUFFER_BYTES, 2 * BUFFER_BYTES + 5] {
            let data: Vec<u8> = (0..bytes).map(|at| (at * 7919 / 32) as u8).collect();
            std::fs::write(&a, &data).and_then(|()| std::fs::write(&b, &data)).expect("files");
            assert_eq!(content(&a).to_hex(), blake3::hash(&data).to_string(), "{bytes}");
            assert_eq!(content(&a).to_hex(), content(&b).to_hex());
        }
    }

    #[test]
    fn of_a_folder_names_and_bytes_decide() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str| dir.path().join(name);
        std::fs::write(file("1.png"), "one").and_then(|()| std::fs::write(file("2.png"), "two")).expect("files");
        let first = content(dir.path());
        assert_eq!(first.to_hex(), content(dir.path()).to_hex());
        assert_eq!(first.changed(), None);
        std::fs::rename(file("2.png"), file("0.png")).expect("another order");
        assert_ne!(first.to_hex(), content(dir.path()).to_hex());
        assert!(first.changed().is_some());
        std::fs::rename(file("0.png"), file("2.png")).expect("as before");
        assert_eq!(first.to_hex(), content(dir.path()).to_hex());
        std::fs::write(file("2.png"), "six").expect("other bytes");
        assert_ne!(first.to_hex(), content(dir.path()).to_hex());
    }

    #[test]
    fn what_changed_before_it_was_hashed_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("clip");
        std::fs::write(&path, "frames").expect("a file");
        let stamp = Stamp::of(&path).expect("it is there");
        let unchanged = Content::since(stamp.clone(), &Interrupt::default()).expect("readable");
        assert_eq!((unchanged.changed(), unchanged.to_hex()), (None, content(&path).to_hex()));
        std::fs::write(&path, "other frames").expect("a file");
        let changed = Content::since(stamp, &Interrupt::default()).expect("readable");
        assert_eq!((changed.changed(), changed.to_hex()), (Some(&*path), content(&path).to_hex()));
    }

    #[test]
    fn a_signal_ends_the_reading() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("huge");
        File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a hole");
        let interrupt = Interrupt::default();
        interrupt.cell().store(2, Ordering::Relaxed);
        assert!(matches!(Content::of(&path, &interrupt), Err(Error::Interrupted(_))));
        assert!(matches!(Content::of(&dir.path().join("none"), &interrupt), Err(Error::Read { .. })));
    }
}
