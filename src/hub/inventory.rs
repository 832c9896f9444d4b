//! What the cache holds of this family of models.

use std::path::PathBuf;

use super::cache::RepoCache;
use super::error::Error;
use super::folder::{entries, references};
use super::name::RepoName;
use super::settings::Settings;
use crate::checkpoint::{self, Config, Documents};

/// A cached repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedRepo {
    /// `owner/name`.
    pub id: String,
    /// Its folder in the cache.
    pub folder: PathBuf,
    /// Its snapshots, by commit.
    pub snapshots: Vec<Snapshot>,
    /// Bytes on disk of everything that is whole.
    pub bytes: u64,
    /// Bytes on disk of downloads that were interrupted or are under way.
    pub incomplete_bytes: u64,
}

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit.
    pub commit: String,
    /// Branches and tags that meant this commit when they were asked for.
    pub references: Vec<String>,
    /// Where its files are.
    pub dir: PathBuf,
    /// What would have to be fetched before it can be loaded; `None` where it is complete.
    pub missing: Option<String>,
}

/// The cached repositories that this program can load, or could if they were complete, by name; and how many others
/// there are.
///
/// # Errors
/// A cache folder that cannot be read; one that is not there is empty.
pub fn inventory(settings: &Settings) -> Result<(Vec<CachedRepo>, usize), Error> {
    let (mut ours, mut others) = (Vec::new(), 0);
    for folder in entries(&settings.cache_dir)? {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(id) = name.strip_prefix("models--").map(|id| id.replacen("--", "/", 1)) else { continue };
        let Ok(repo) = RepoName::parse(&id) else { continue };
        match cached_repo(settings, &repo)? {
            Some(repo) => ours.push(repo),
            None => others += 1,
        }
    }
    Ok((ours, others))
}

/// One repository, if the cache has something of it that this program can load.
fn cached_repo(settings: &Settings, repo: &RepoName) -> Result<Option<CachedRepo>, Error> {
    let cache = RepoCache::new(&settings.cache_dir, repo);
    let references = references(&cache.folder.join("refs"))?;
    let mut snapshots = Vec::new();
    for dir in entries(&cache.folder.join("snapshots"))? {
        let commit = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if Config::read(&Documents::Directory(dir.clone()), &[]).is_ok() {
            let names = references.iter().filter(|(_, meant)| *meant == commit).map(|(name, _)| name.clone()).collect();
            snapshots.push(Snapshot { missing: checkpoint::first_missing(&dir), references: names, commit, dir });
        }
    }
    if snapshots.is_empty() {
        return Ok(None);
    }
    let (mut bytes, mut incomplete_bytes) = (0, 0);
    // Where there are no links, snapshots hold the files themselves.
    for snapshot in &snapshots {
        let own = |file: &PathBuf| file.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let files = entries(&snapshot.dir)?.into_iter().filter(own);
        bytes += files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum::<u64>();
    }
    for blob in entries(&cache.folder.join("blobs"))? {
        let size = blob.metadata().map_or(0, |metadata| metadata.len());
        let is_incomplete = blob.extension().is_some_and(|extension| extension == "incomplete");
        *(if is_incomplete { &mut incomplete_bytes } else { &mut bytes }) += size;
    }
    Ok(Some(CachedRepo { id: repo.id().to_owned(), folder: cache.folder, snapshots, bytes, incomplete_bytes }))
}
