//! A repository's name -> the directory that holds it, without any network.

use std::path::PathBuf;

use super::cache::RepoCache;
use super::error::Error;
use super::name::RepoName;
use super::settings::Settings;
use crate::checkpoint;

/// The snapshot of a repository in the cache.
///
/// # Errors
/// [`Error::NotCached`] or [`Error::PartlyCached`] for one that would have to be fetched first.
pub fn locate(settings: &Settings, repo: &RepoName) -> Result<PathBuf, Error> {
    cached(settings, repo).map(|(dir, _)| dir)
}

/// The commit that a repository's revision means, if something of it is in the cache.
pub(super) fn commit(settings: &Settings, repo: &RepoName) -> Result<String, Error> {
    let cache = RepoCache::new(&settings.cache_dir, repo);
    let commit = cache.commit(repo).filter(|commit| cache.snapshot(commit).is_dir());
    commit.ok_or_else(|| Error::NotCached { kind: repo.kind(), repo: repo.to_string(), cache: cache.folder })
}

/// A repository's snapshot in the cache and its commit, if all files are there.
pub(super) fn cached(settings: &Settings, repo: &RepoName) -> Result<(PathBuf, String), Error> {
    let commit = commit(settings, repo)?;
    let dir = RepoCache::new(&settings.cache_dir, repo).snapshot(&commit);
    match checkpoint::first_missing(&dir) {
        None => Ok((dir, commit)),
        Some(missing) => Err(Error::PartlyCached { kind: repo.kind(), repo: repo.to_string(), missing }),
    }
}
