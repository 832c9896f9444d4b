//! The cache's folder: which files in it are the cache's own, and how they come and go.
//!
//! ```text
//! KEY.safetensors         an entry, whole from the moment that it has this name
//! .KEY.RANDOM.part        an entry that is being written; its writer holds a lock on it
//! .lock                   held while entries are counted, removed and renamed
//! ```
//!
//! Whatever else lies there is left alone, links under these names included.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::NamedTempFile;

use super::error::Error;
use crate::file_lock::{Mode, Taken, is_still_at, try_lock};

const ENTRY_ENDING: &str = ".safetensors";
const PARTIAL_ENDING: &str = ".part";
const KEY_DIGITS: usize = 64;

/// How often a lock that another process holds is tried again.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How long another process may take to count and remove before it is no longer waited for: a stopped process would
/// stop all others. Without the lock the cap may be exceeded, and nothing else goes wrong.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Where files cannot be locked, a partial file of this age has no writer.
const PARTIAL_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a partial file is begun again that another process took for a dead one's.
const PARTIAL_TRIES: usize = 8;

/// A file of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When it was written or last used.
    pub(super) used: SystemTime,
}

/// The cache's own files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Stored>,
    pub(super) partials: Vec<Stored>,
}

/// The folder, which need not be there yet.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// Something else of this name, or a folder that is everybody's.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        match path.metadata() {
            Ok(metadata) if !metadata.is_dir() => Err(Error::NotAFolder { path }),
            #[cfg(unix)]
            Ok(metadata) if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o002 != 0 => {
                Err(Error::WritableByAll { path })
            }
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Error::NotAFolder { path }),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the entry of a key is or will be.
    pub(super) fn entry(&self, key_name: &str) -> PathBuf {
        self.0.join(format!("{key_name}{ENTRY_ENDING}"))
    }

    /// Makes the folder, and those around it, for this user alone.
    pub(super) fn create(&self) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.0).map_err(|source| Error::Write { path: self.0.clone(), source })
    }

    /// The cache's own files; none of a folder that is not there.
    pub(super) fn list(&self) -> Result<Listing, Error> {
        let failed = |source| Error::Read { path: self.0.clone(), source };
        let mut listing = Listing::default();
        let files = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
            files => files.map_err(failed)?,
        };
        for file in files {
            let file = file.map_err(failed)?;
            let name = file.file_name();
            let kind = match name.to_str() {
                Some(name) if is_entry(name) => &mut listing.entries,
                Some(name) if is_partial(name) => &mut listing.partials,
                _ => continue,
            };
            // Another process may have removed it meanwhile.
            let Ok(metadata) = file.metadata() else { continue };
            if metadata.is_file() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                kind.push(Stored { path: file.path(), bytes: metadata.len(), used });
            }
        }
        Ok(listing)
    }

    /// Keeps other processes from counting, removing and renaming, as far as the file system can.
    pub(super) fn lock(&self) -> Option<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.0.join(".lock")).ok()?;
        let started = Instant::now();
        while try_lock(&file, Mode::Exclusive).ok()? == Taken::ByAnother {
            if started.elapsed() > LOCK_PATIENCE {
                return None;
            }
            std::thread::sleep(LOCK_POLL);
        }
        Some(file)
    }

    /// An empty file under a temporary name, locked by this process, gone if it is not renamed.
    pub(super) fn partial(&self, key_name: &str) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{key_name}.");
        for _ in 0..PARTIAL_TRIES {
            let partial = builder.prefix(&prefix).suffix(PARTIAL_ENDING).tempfile_in(&self.0)?;
            let taken = try_lock(partial.as_file(), Mode::Exclusive)?;
            // Between its making and its locking, another process may have taken it for a dead one's.
            if taken == Taken::NoLocks || taken == Taken::Held && is_still_at(partial.as_file(), partial.path()) {
                return Ok(partial);
            }
        }
        Err(io::Error::other("other processes remove each file that is begun"))
    }

    /// Makes a renaming last.
    pub(super) fn sync(&self) {
        // Where folders cannot be synced, the entry may be lost with the power, and is then computed again.
        let _ = File::open(&self.0).and_then(|folder| folder.sync_all());
    }
}

/// `KEY.safetensors`.
fn is_entry(name: &str) -> bool {
    name.strip_suffix(ENTRY_ENDING).is_some_and(is_key)
}

/// `.KEY.RANDOM.part`.
fn is_partial(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(PARTIAL_ENDING));
    let parts = inner.and_then(|inner| inner.split_once('.'));
    parts.is_some_and(|(key, random)| is_key(key) && !random.is_empty() && !random.contains('.'))
}

fn is_key(text: &str) -> bool {
    text.len() == KEY_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes a file; whether it was still there.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Write { path: path.to_owned(), source }),
    }
}

/// Removes a partial file whose writer has ended; whether it did.
pub(super) fn remove_if_dead(partial: &Stored) -> bool {
    let path = &partial.path;
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    let is_dead = match try_lock(&file, Mode::Exclusive) {
        // The lock of a file that is an entry by now says nothing about this name.
        Ok(Taken::Held) => is_still_at(&file, path),
        Ok(Taken::NoLocks) => partial.used.elapsed().is_ok_and(|age| age > PARTIAL_LIFETIME),
        Ok(Taken::ByAnother) | Err(_) => false,
    };
    is_dead && remove(path).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path().join("a/b")).expect("not there yet");
        folder.create().expect("created");
        (dir, folder)
    }

    fn key() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[cfg(unix)]
    #[test]
    fn it_is_this_users_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, folder) = folder();
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("a")), mode(folder.path())), (0o700, 0o700));
        let partial = folder.partial(&key()).expect("writable");
        drop(folder.lock().expect("free"));
        assert_eq!((mode(partial.path()), mode(&folder.path().join(".lock"))), (0o600, 0o600));
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("ours");
        assert!(matches!(Folder::open(folder.path().to_owned()), Err(Error::WritableByAll { .. })));
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let (_dir, folder) = folder();
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert!(matches!(Folder::open(file.clone()), Err(Error::NotAFolder { .. })));
        assert!(matches!(Folder::open(file.join("below")), Err(Error::NotAFolder { .. })));
    }

    #[test]
    fn only_its_own_files_are_listed() {
        let (_dir, folder) = folder();
        let (key, write) = (key(), |name: &str| std::fs::write(folder.path().join(name), "x").expect("a file"));
        let foreign = [
            "notes.txt".to_owned(),
            "model.safetensors".to_owned(),
            format!("{key}.safetensors.bak"),
            format!("{}.safetensors", key.to_uppercase()),
            format!("x{key}.safetensors"),
            ".x.part".to_owned(),
            format!(".{key}.part"),
            format!(".{key}.a.b.part"),
        ];
        foreign.iter().for_each(|name| write(name));
        write(&format!("{key}.safetensors"));
        write(&format!(".{key}.aB3.part"));
        std::fs::create_dir(folder.entry(&"f".repeat(64))).expect("a folder of an entry's name");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("notes.txt"), folder.entry(&"e".repeat(64))).expect("a link");
        let Listing { entries, partials } = folder.list().expect("readable");
        assert_eq!(entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>(), [folder.entry(&key)]);
        assert_eq!((partials.len(), partials[0].bytes), (1, 1));
    }

    #[test]
    fn a_partial_file_is_removed_once_its_writer_is_gone() {
        let (_dir, folder) = folder();
        let partial = folder.partial(&key()).expect("writable");
        let listed = || folder.list().expect("readable").partials;
        assert!(!remove_if_dead(&listed()[0]) && partial.path().exists());
        // As a killed process leaves it.
        let (file, path) = partial.keep().expect("kept");
        let stored = listed().remove(0);
        drop(file);
        assert!(remove_if_dead(&stored) && !path.exists());
        assert!(!remove_if_dead(&stored), "it is gone already");
    }

    #[test]
    fn a_name_that_became_an_entrys_is_not_removed() {
        let (_dir, folder) = folder();
        let partial = folder.partial(&key()).expect("writable");
        let stored = folder.list().expect("readable").partials.remove(0);
        partial.persist(folder.entry(&key())).expect("renamed");
        assert!(!remove_if_dead(&stored) && folder.entry(&key()).exists());
    }
}
