//! A model's name -> the directory that holds it, without any network.

use std::path::PathBuf;

use super::cache::RepoCache;
use super::{Error, ModelName, RepoName, Settings};
use crate::checkpoint;

/// The directory of a model that is here: a local one as it is, or a repository's snapshot in the cache.
///
/// # Errors
/// [`Error::NotCached`] or [`Error::PartlyCached`] for a repository that would have to be fetched first.
pub fn locate(settings: &Settings, model: &ModelName) -> Result<PathBuf, Error> {
    match model {
        ModelName::Dir(dir) => Ok(dir.clone()),
        ModelName::Repo(repo) => cached(settings, repo).map(|(dir, _)| dir),
    }
}

/// A repository's snapshot in the cache and its commit, if all files are there.
pub(super) fn cached(settings: &Settings, repo: &RepoName) -> Result<(PathBuf, String), Error> {
    let cache = RepoCache::new(&settings.cache_dir, repo);
    let not_cached = || Error::NotCached { repo: repo.to_string(), cache: cache.folder.clone() };
    let commit = cache.commit(repo).ok_or_else(not_cached)?;
    let dir = cache.snapshot(&commit);
    if !dir.is_dir() {
        return Err(not_cached());
    }
    match checkpoint::first_missing(&dir) {
        None => Ok((dir, commit)),
        Some(missing) => Err(Error::PartlyCached { repo: repo.to_string(), missing }),
    }
}
