//! The cache itself: entries found, kept, counted and removed.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candle_core::Tensor;
use serde_json::Value;

use super::entry::{self, Encoded, Entry, Failure};
use super::error::Error;
use super::evict::{self, Freed};
use super::folder::{self, Folder};
use super::key::Key;
use crate::disk;
use crate::file_lock::is_still_at;

/// A folder of entries, and how much it may hold.
#[derive(Debug, Clone)]
pub struct VisualCache {
    folder: Folder,
    cap_bytes: u64,
    is_for_reading: bool,
}

/// What was found of a key.
#[derive(Debug)]
pub enum Lookup<T> {
    /// An entry, whole and accepted.
    Hit(T),
    /// None.
    Miss,
    /// One that cannot be used, and why: compute the tokens and warn.
    Unusable(Error),
}

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many entries.
    pub entries: usize,
    /// Their size.
    pub bytes: u64,
    /// Size of what is being written, or was left unfinished.
    pub unfinished_bytes: u64,
}

impl VisualCache {
    /// The cache in `dir`, whose entries together take at most `cap_bytes`. The folder is made when the first entry is.
    ///
    /// # Errors
    /// [`Error::NotAFolder`], [`Error::WritableByAll`], or [`Error::Read`] where that cannot be found out.
    pub fn open(dir: PathBuf, cap_bytes: u64) -> Result<Self, Error> {
        Ok(Self { folder: Folder::open(dir)?, cap_bytes, is_for_reading: false })
    }

    /// The same, but [`Self::put`] keeps nothing.
    pub fn for_reading(self) -> Self {
        Self { is_for_reading: true, ..self }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The most that all entries may take.
    pub fn cap_bytes(&self) -> u64 {
        self.cap_bytes
    }

    /// The entry of `key`, if there is one that is whole. `accept` takes it over, or says what is wrong with it, such
    /// as facts that it cannot use; such an entry counts as damaged. A hit counts as a use.
    pub fn get<T>(&self, key: &Key, accept: impl FnOnce(Entry) -> Result<T, String>) -> Lookup<T> {
        let path = self.folder.entry(key.name());
        let mut file = match open_entry(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Lookup::Miss,
            Err(error) => return Lookup::Unusable(error),
        };
        let file_bytes = file.metadata().map(|metadata| metadata.len()).map_err(Failure::Io);
        let found = file_bytes.and_then(|bytes| entry::read(&mut file, bytes, key));
        match found.and_then(|entry| accept(entry).map_err(Failure::Damaged)) {
            Ok(accepted) => {
                // In a folder that cannot be written to, entries keep their age.
                let _ = file.set_modified(SystemTime::now());
                Lookup::Hit(accepted)
            }
            Err(Failure::Io(source)) => Lookup::Unusable(Error::Read { path, source }),
            Err(Failure::Damaged(what)) => {
                // Another process may have put a sound one in its place.
                if is_still_at(&file, &path) {
                    // What cannot be removed is found damaged again.
                    let _ = folder::remove(&path);
                }
                Lookup::Unusable(Error::Damaged { path, what })
            }
        }
    }

    /// Keeps visual tokens `[N_v, D]`, on any device, as they are, and facts that come back with them, every number
    /// exactly. An entry of this key is replaced.
    ///
    /// # Errors
    /// Reasons for a warning; nothing is kept then. [`Error::Changed`] if clip or checkpoint are no longer what the key
    /// was made of, [`Error::TooLarge`], [`Error::NoSpace`], [`Error::Write`], and others.
    pub fn put(&self, key: &Key, tokens: &Tensor, facts: &Value) -> Result<(), Error> {
        if self.is_for_reading {
            return Ok(());
        }
        key.check_current()?;
        let encoded = Encoded::new(key, tokens, facts)?;
        let bytes = encoded.bytes();
        let Some(room_bytes) = self.cap_bytes.checked_sub(bytes) else {
            return Err(Error::TooLarge { bytes, cap_bytes: self.cap_bytes });
        };
        let path = self.folder.entry(key.name());
        open_entry(&path)?;
        self.folder.create()?;
        evict::remove_dead_partials(&self.folder)?;
        disk::check(self.dir(), bytes)?;
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut partial = self.folder.partial(key.name()).map_err(failed)?;
        let mut out = BufWriter::new(partial.as_file_mut());
        encoded.write_to(&mut out).and_then(|()| out.into_inner()?.sync_all()).map_err(failed)?;
        let _lock = self.folder.lock();
        let mut others = self.folder.list()?.entries;
        others.retain(|entry| entry.path != path);
        evict::make_room(others, room_bytes)?;
        partial.persist(&path).map_err(|error| failed(error.error))?;
        self.folder.sync();
        Ok(())
    }

    /// What is there.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn usage(&self) -> Result<Usage, Error> {
        let listing = self.folder.list()?;
        let bytes = |files: &[folder::Stored]| files.iter().map(|file| file.bytes).sum();
        Ok(Usage {
            entries: listing.entries.len(),
            bytes: bytes(&listing.entries),
            unfinished_bytes: bytes(&listing.partials),
        })
    }

    /// Removes all entries, and what was left unfinished.
    ///
    /// # Errors
    /// A file that cannot be removed; others are gone then.
    pub fn clear(&self) -> Result<Freed, Error> {
        self.shrink(0)
    }

    /// Removes what was left unfinished, and the least recently used entries beyond the cap.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn prune(&self) -> Result<Freed, Error> {
        self.shrink(self.cap_bytes)
    }

    fn shrink(&self, room_bytes: u64) -> Result<Freed, Error> {
        let unfinished_bytes = evict::remove_dead_partials(&self.folder)?;
        let _lock = self.folder.lock();
        let mut freed = evict::make_room(self.folder.list()?.entries, room_bytes)?;
        freed.bytes += unfinished_bytes;
        Ok(freed)
    }
}

/// The entry at `path`, if there is one.
///
/// # Errors
/// [`Error::Foreign`] for anything but a regular file, links included.
fn open_entry(path: &Path) -> Result<Option<File>, Error> {
    let open = || match path.symlink_metadata()?.is_file() {
        true => File::open(path).map(Some),
        false => Ok(None),
    };
    match open() {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(Error::Foreign { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;
