//! A model's name -> the directory or file that holds it, without any network.

use std::path::PathBuf;

use super::cache::RepoCache;
use super::{Error, ModelName, RepoName, Settings};
use crate::checkpoint;

/// Where a model named on a command line is, if it is here: [`locate`] with the settings of the environment.
///
/// # Errors
/// As [`locate`], and a name or a setting that cannot be used.
pub fn locate_by_name(name: &str) -> Result<PathBuf, Error> {
    match ModelName::parse(name)? {
        ModelName::Local(path) => Ok(path),
        repo => locate(&Settings::from_env(None)?, &repo),
    }
}

/// Where a model is that is here: a local path as it is, or a repository's snapshot in the cache.
///
/// # Errors
/// [`Error::NotCached`] or [`Error::PartlyCached`] for a repository that would have to be fetched first.
pub fn locate(settings: &Settings, model: &ModelName) -> Result<PathBuf, Error> {
    match model {
        ModelName::Local(path) => Ok(path.clone()),
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
