//! Taking a repository, or one of its revisions, out of the cache; what other revisions share stays.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::cache::RepoCache;
use super::error::Error;
use super::folder::{entries, references};
use super::lock::{Lock, Mode};
use super::name::RepoName;
use super::settings::Settings;

/// What a removal would delete; nothing is touched before [`Removal::carry_out`].
#[derive(Debug)]
pub struct Removal {
    repo: RepoName,
    cache: RepoCache,
    /// The commit to remove; none: the whole repository.
    commit: Option<String>,
    /// Bytes on disk that would become free.
    pub bytes: u64,
}

/// Files and folders, in the order in which they go: names before what they stand for, so that an interrupted removal
/// leaves nothing that looks complete.
#[derive(Debug, Default)]
struct Doomed {
    paths: Vec<PathBuf>,
    bytes: u64,
}

impl Removal {
    /// Plans the removal of what `repo` names: with a revision the commit that it means now, else all of the
    /// repository.
    ///
    /// # Errors
    /// [`Error::NotCached`], or a cache that cannot be read.
    pub fn plan(settings: &Settings, repo: &RepoName) -> Result<Self, Error> {
        let cache = RepoCache::new(&settings.cache_dir, repo);
        let not_cached = || Error::NotCached { kind: repo.kind(), repo: repo.to_string(), cache: cache.folder.clone() };
        let commit = match repo.has_revision() {
            true => Some(cache.commit(repo).ok_or_else(not_cached)?),
            false => None,
        };
        let mut removal = Self { repo: repo.clone(), cache, commit, bytes: 0 };
        removal.bytes = removal.doomed()?.bytes;
        Ok(removal)
    }

    /// Deletes what is there by now of what was planned, and returns the bytes that became free.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process downloads the repository, [`Error::NotCached`] if it is gone already, or
    /// something that cannot be deleted.
    pub fn carry_out(self) -> Result<u64, Error> {
        let busy = || Error::Busy { repo: self.repo.id().to_owned() };
        let take = |path: &Path| Lock::take(path, Mode::Exclusive)?.ok_or_else(busy);
        // Keeps our own downloads away; the locks of the blobs, those of other programs.
        let _repository = take(&self.cache.repository_lock())?;
        let doomed = self.doomed()?;
        let mut held = Vec::new();
        for path in self.blob_locks(&doomed)? {
            held.push(take(&path)?);
        }
        for path in &doomed.paths {
            // A link is deleted, never what it points to.
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Write { path: path.clone(), source });
                }
                _ => {}
            }
        }
        Ok(doomed.bytes)
    }

    fn not_cached(&self) -> Error {
        let repo = self.repo.has_revision().then(|| self.repo.to_string());
        let repo = repo.unwrap_or_else(|| self.repo.id().to_owned());
        Error::NotCached { kind: self.repo.kind(), repo, cache: self.cache.folder.clone() }
    }

    /// What goes, as the cache is now.
    fn doomed(&self) -> Result<Doomed, Error> {
        match &self.commit {
            Some(commit) => self.doomed_of_commit(commit),
            None => self.doomed_of_repository(),
        }
    }

    fn doomed_of_repository(&self) -> Result<Doomed, Error> {
        let folder = &self.cache.folder;
        if !folder.is_dir() {
            return Err(self.not_cached());
        }
        let mut bytes = entries(&folder.join("blobs"))?.iter().map(|blob| own_bytes(blob)).sum();
        for snapshot in entries(&folder.join("snapshots"))? {
            bytes += Contents::of(&snapshot)?.own_bytes;
        }
        let mut paths: Vec<PathBuf> = ["refs", "snapshots"].iter().map(|part| folder.join(part)).collect();
        paths.extend([folder.clone(), self.cache.locks.clone()]);
        Ok(Doomed { paths, bytes })
    }

    /// A commit's references, its snapshot, and the blobs that no other snapshot of the repository links to.
    fn doomed_of_commit(&self, commit: &str) -> Result<Doomed, Error> {
        let (folder, snapshot) = (&self.cache.folder, self.cache.snapshot(commit));
        if !snapshot.is_dir() {
            return Err(self.not_cached());
        }
        let refs = folder.join("refs");
        let meant = references(&refs)?.into_iter().filter(|(_, meant)| meant == commit);
        let mut paths: Vec<PathBuf> = meant.map(|(name, _)| refs.join(name)).collect();
        let mut kept = BTreeSet::new();
        for other in entries(&folder.join("snapshots"))?.iter().filter(|other| **other != snapshot) {
            kept.extend(Contents::of(other)?.blobs);
        }
        let Contents { blobs, own_bytes: bytes } = Contents::of(&snapshot)?;
        let blobs = blobs.into_iter().filter(|name| !kept.contains(name));
        let blobs: Vec<PathBuf> = blobs.map(|name| folder.join("blobs").join(name)).collect();
        let bytes = blobs.iter().fold(bytes, |sum, blob| sum + own_bytes(blob));
        paths.extend([snapshot, self.cache.tree_path(commit)]);
        paths.extend(blobs);
        Ok(Doomed { paths, bytes })
    }

    /// The locks of all blobs that go, and those that somebody has taken for others.
    fn blob_locks(&self, doomed: &Doomed) -> Result<BTreeSet<PathBuf>, Error> {
        let mut locks: BTreeSet<PathBuf> = entries(&self.cache.locks)?.into_iter().collect();
        let folder = self.cache.folder.join("blobs");
        let blobs = match self.commit {
            Some(_) => doomed.paths.iter().filter(|path| path.starts_with(&folder)).cloned().collect(),
            None => entries(&folder)?,
        };
        let digest = |blob: &PathBuf| Some(blob.file_name()?.to_str()?.split('.').next()?.to_owned());
        locks.extend(blobs.iter().filter_map(digest).map(|digest| self.cache.locks.join(format!("{digest}.lock"))));
        Ok(locks)
    }
}

/// What a snapshot is made of, subfolders included.
#[derive(Default)]
struct Contents {
    /// Names of the blobs that its links point to.
    blobs: BTreeSet<OsString>,
    /// Bytes of files that are no links.
    own_bytes: u64,
}

impl Contents {
    fn of(snapshot: &Path) -> Result<Self, Error> {
        let mut contents = Self::default();
        let mut folders = vec![snapshot.to_owned()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder)? {
                match fs::read_link(&path) {
                    Ok(target) => contents.blobs.extend(target.file_name().map(OsString::from)),
                    Err(_) if path.is_dir() => folders.push(path),
                    Err(_) => contents.own_bytes += own_bytes(&path),
                }
            }
        }
        Ok(contents)
    }
}

/// Bytes that go when a file goes; none for a link to a store that others share.
fn own_bytes(file: &Path) -> u64 {
    file.symlink_metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
}
