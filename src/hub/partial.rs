//! What has arrived of a file so far, and its checksum.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::digest::{Digest, Hasher};
use super::error::Error;
use super::events::Halt;
use super::lock::Lock;
use super::remote::RemoteFile;
use super::session::Session;

const BUFFER_BYTES: usize = 1 << 18;

/// A file beside the blobs that grows until it is whole.
///
/// Where the file system has locks it is kept between runs, and only the lock's holder touches it. Where it has none,
/// nobody can know that they are alone: then it is this download's own, and goes with it.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    len: u64,
    size: u64,
    digest: Digest,
    hasher: Hasher,
    is_private: bool,
    /// Whether it came in more than one piece, in this run or an earlier one.
    pub(super) is_continued: bool,
}

/// A state to go back to.
pub(super) struct Mark {
    len: u64,
    hasher: Hasher,
}

impl Partial {
    /// Continues with what an earlier run left, if it left something.
    pub(super) fn open(session: &Session, remote: &RemoteFile, lock: &Lock) -> Result<Self, Halt> {
        let is_private = !lock.excludes();
        let path = match is_private {
            true => session.cache.private_incomplete(&remote.digest),
            false => session.cache.incomplete(&remote.digest),
        };
        let write = |source| Error::Write { path: path.clone(), source };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(write)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match is_private {
            true => options.create_new(true),
            false => options.create(true).truncate(false),
        };
        let file = options.open(&path).map_err(write)?;
        let (size, digest) = (remote.size, remote.digest.clone());
        let hasher = digest.hasher(size);
        let mut partial = Self { path, file, len: 0, size, digest, hasher, is_private, is_continued: false };
        partial.hash_kept(session)?;
        partial.is_continued = partial.len > 0;
        Ok(partial)
    }

    fn hash_kept(&mut self, session: &Session) -> Result<(), Halt> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            session.check_stop()?;
            let count = match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }.into()),
            };
            self.hasher.update(&buffer[..count]);
            self.len += count as u64;
            if self.len > self.size {
                return Ok(self.restart()?);
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that have arrived.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what has arrived; it will have to come again.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.is_continued = false;
        let hasher = self.digest.hasher(self.size);
        self.rewind(Mark { len: 0, hasher })
    }

    /// What has arrived up to now.
    pub(super) fn mark(&self) -> Mark {
        Mark { len: self.len, hasher: self.hasher.clone() }
    }

    /// Forgets what has arrived since.
    pub(super) fn rewind(&mut self, mark: Mark) -> Result<(), Error> {
        let cut = self.file.set_len(mark.len).and_then(|()| self.file.seek(SeekFrom::Start(mark.len)));
        cut.map_err(|source| Error::Write { path: self.path.clone(), source })?;
        (self.len, self.hasher) = (mark.len, mark.hasher);
        Ok(())
    }

    pub(super) fn found(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Puts the whole file in its place, in one step and after it has reached the disk.
    pub(super) fn place(&mut self, blob: &Path) -> Result<(), Error> {
        let place = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, blob));
        place.map_err(|source| Error::Write { path: blob.to_owned(), source })
    }

    pub(super) fn discard(&mut self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.is_private {
            // Gone already if it was put in its place.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
