//! Taking a repository, or one of its revisions, out of the cache; what other revisions share stays.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::cache::RepoCache;
use super::inventory::{entries, references};
use super::lock::Lock;
use super::{Error, RepoName, Settings};

/// What a removal would delete; nothing is touched before [`Removal::carry_out`].
#[derive(Debug)]
pub struct Removal {
    repo: RepoName,
    locks: PathBuf,
    /// Files and folders, in the order in which they go: names before what they stand for, so that an interrupted
    /// removal leaves nothing that looks complete.
    paths: Vec<PathBuf>,
    /// Bytes on disk that become free.
    pub bytes: u64,
}

impl Removal {
    /// Plans the removal of a whole repository.
    ///
    /// # Errors
    /// [`Error::NotCached`], or a cache that cannot be read.
    pub fn of_repository(settings: &Settings, repo: &RepoName) -> Result<Self, Error> {
        let cache = RepoCache::new(&settings.cache_dir, repo);
        if !cache.folder.is_dir() {
            return Err(Error::NotCached { repo: repo.id().to_owned(), cache: cache.folder });
        }
        let bytes = entries(&cache.folder.join("blobs"))?.iter().map(|blob| own_bytes(blob)).sum();
        let mut paths: Vec<PathBuf> = ["refs", "snapshots"].iter().map(|part| cache.folder.join(part)).collect();
        paths.extend([cache.folder.clone(), cache.locks.clone()]);
        Ok(Self { repo: repo.clone(), locks: cache.locks, paths, bytes })
    }

    /// Plans the removal of the commit that `repo`'s revision means: its references, its snapshot, and the blobs that no
    /// other snapshot of the repository links to.
    ///
    /// # Errors
    /// [`Error::NotCached`], or a cache that cannot be read.
    pub fn of_revision(settings: &Settings, repo: &RepoName) -> Result<Self, Error> {
        let cache = RepoCache::new(&settings.cache_dir, repo);
        let not_cached = || Error::NotCached { repo: repo.to_string(), cache: cache.folder.clone() };
        let commit = cache.commit(repo).ok_or_else(not_cached)?;
        let snapshot = cache.snapshot(&commit);
        if !snapshot.is_dir() {
            return Err(not_cached());
        }
        let refs = cache.folder.join("refs");
        let meant = references(&refs)?.into_iter().filter(|(_, meant)| *meant == commit);
        let mut paths: Vec<PathBuf> = meant.map(|(name, _)| refs.join(name)).collect();
        let mut kept = BTreeSet::new();
        for other in entries(&cache.folder.join("snapshots"))?.iter().filter(|other| **other != snapshot) {
            kept.extend(blob_names(other)?);
        }
        let blobs = blob_names(&snapshot)?.into_iter().filter(|name| !kept.contains(name));
        let blobs: Vec<PathBuf> = blobs.map(|name| cache.folder.join("blobs").join(name)).collect();
        paths.push(snapshot);
        let bytes = blobs.iter().map(|blob| own_bytes(blob)).sum();
        paths.extend(blobs);
        Ok(Self { repo: repo.clone(), locks: cache.locks, paths, bytes })
    }

    /// Deletes what was planned.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process downloads the repository, or something that cannot be deleted.
    pub fn carry_out(self) -> Result<(), Error> {
        let mut held = Vec::new();
        for path in entries(&self.locks)? {
            held.push(Lock::take(&path)?.ok_or_else(|| Error::Busy { repo: self.repo.to_string() })?);
        }
        for path in &self.paths {
            // A link is deleted, never what it points to.
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Write { path: path.clone(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Names of the blobs that a snapshot's links point to, subfolders included.
fn blob_names(snapshot: &Path) -> Result<BTreeSet<OsString>, Error> {
    let mut names = BTreeSet::new();
    let mut folders = vec![snapshot.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            match fs::read_link(&path) {
                Ok(target) => names.extend(target.file_name().map(OsString::from)),
                Err(_) if path.is_dir() => folders.push(path),
                Err(_) => {}
            }
        }
    }
    Ok(names)
}

/// Bytes that go when `blob` goes; none for a link to a store that others share.
fn own_bytes(blob: &Path) -> u64 {
    blob.symlink_metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
}
