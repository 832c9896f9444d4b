//! `--model` -> a directory or a GGUF file: a path is taken as it is, a repository id is looked up in the hub cache.

use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};

use super::Error;

/// The checkpoint that is used when none is named.
pub const DEFAULT_MODEL: &str = "lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only";

/// Where `model` is: a local directory or GGUF file, or `owner/name[@revision]` in the hub cache (`HF_HOME` honoured).
///
/// # Errors
/// [`Error::NoSuchModel`] for what is neither, [`Error::NotCached`] for a repository that is not in the cache.
pub fn locate(model: &str) -> Result<PathBuf, Error> {
    let path = Path::new(model);
    if path.is_dir() || path.is_file() {
        return Ok(path.to_owned());
    }
    let (repo_id, revision) = model.split_once('@').unwrap_or((model, "main"));
    if !is_repository_id(repo_id) {
        return Err(Error::NoSuchModel { name: model.to_owned() });
    }
    let cache = Cache::from_env();
    let repo = Repo::with_revision(repo_id.to_owned(), RepoType::Model, revision.to_owned());
    let folder = cache.path().join(repo.folder_name());
    let config = cache.repo(repo).get("config.json");
    match config.as_deref().and_then(Path::parent) {
        Some(snapshot) => Ok(snapshot.to_owned()),
        None => Err(Error::NotCached { repo: model.to_owned(), cache: folder }),
    }
}

/// `owner/name` in the characters the hub allows; anything else is taken for a mistyped path.
fn is_repository_id(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let valid = |part: &str| !part.is_empty() && part.chars().all(allowed) && !part.chars().all(|c| c == '.');
    matches!(name.split('/').collect::<Vec<_>>().as_slice(), [owner, repo] if valid(owner) && valid(repo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_ids_are_told_from_paths() {
        assert!(is_repository_id(DEFAULT_MODEL));
        for path in ["model", "./model", "../model", "a/b/c", "/model", "owner/", "owner/na me", "~/model"] {
            assert!(!is_repository_id(path), "{path}");
        }
    }
}
