//! `--model` -> a local directory or GGUF file, or a repository of the hub with a revision.

use std::path::{Path, PathBuf};

use super::Error;
use crate::demo;

/// The checkpoint that is used when none is named.
pub const DEFAULT_MODEL: &str = "lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only";

/// The revision that is used when none is named.
const DEFAULT_REVISION: &str = "main";

/// What a model's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A directory that holds the checkpoint's files, or a GGUF file.
    Local(PathBuf),
    /// The checkpoint inside the program.
    Demo,
    /// A repository of the hub.
    Repo(RepoName),
}

impl ModelName {
    /// `demo` is the demo model (a directory of that name is `./demo`); a directory or file that exists is taken as it
    /// is; anything else must be `owner/name[@revision]`, or `@revision` of the default model.
    ///
    /// # Errors
    /// [`Error::NoSuchModel`] for what is neither.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == demo::NAME {
            return Ok(Self::Demo);
        }
        let path = Path::new(text);
        if path.is_dir() || path.is_file() {
            return Ok(Self::Local(path.to_owned()));
        }
        RepoName::parse(text).map(Self::Repo)
    }
}

/// A repository of the hub at a revision: a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoName {
    id: String,
    revision: String,
}

impl RepoName {
    /// Reads `owner/name[@revision]`, or `@revision` of the default model.
    ///
    /// # Errors
    /// [`Error::NoSuchModel`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (id, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let id = if id.is_empty() && text.starts_with('@') { DEFAULT_MODEL } else { id };
        match is_repository_id(id) && is_revision(revision) {
            true => Ok(Self { id: id.to_owned(), revision: revision.to_owned() }),
            false => Err(Error::NoSuchModel { name: text.to_owned() }),
        }
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the revision is a full commit hash, which always means the same files.
    pub fn is_pinned(&self) -> bool {
        is_commit(&self.revision)
    }

    /// The same repository as the crate hf-hub names it.
    pub(super) fn to_hf_hub(&self) -> hf_hub::Repo {
        hf_hub::Repo::with_revision(self.id.clone(), hf_hub::RepoType::Model, self.revision.clone())
    }
}

impl std::fmt::Display for RepoName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.revision == DEFAULT_REVISION {
            true => f.write_str(&self.id),
            false => write!(f, "{}@{}", self.id, self.revision),
        }
    }
}

/// Whether `text` is a full git commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `part` can be one part of a path: no separators, no way up.
pub(super) fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part.chars().all(allowed) && !part.chars().all(|c| c == '.')
}

/// `owner/name` in the characters the hub allows; anything else is taken for a mistyped path. `--` is what the cache
/// writes for the slash.
fn is_repository_id(name: &str) -> bool {
    let valid = |part: &str| is_plain(part) && !part.contains("--");
    matches!(name.split('/').collect::<Vec<_>>().as_slice(), [owner, repo] if valid(owner) && valid(repo))
}

/// A revision becomes part of a path and of an address, so that only plain parts between slashes are let through.
fn is_revision(revision: &str) -> bool {
    revision.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_ids_are_told_from_paths() {
        assert!(is_repository_id(DEFAULT_MODEL));
        for path in ["model", "./model", "../model", "a/b/c", "/model", "owner/", "owner/na me", "~/model", "a--b/c"] {
            assert!(RepoName::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn revisions_cannot_leave_their_folder() {
        let name = RepoName::parse("owner/name@refs/pr/1").expect("a revision with slashes");
        assert_eq!((name.id(), name.revision(), name.is_pinned()), ("owner/name", "refs/pr/1", false));
        assert_eq!(name.to_string(), "owner/name@refs/pr/1");
        for wrong in ["owner/name@", "owner/name@../x", "owner/name@/x", "owner/name@a//b", "owner/name@a b", "@"] {
            assert!(RepoName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bare_revision_is_one_of_the_default_model() {
        let name = RepoName::parse("@0123456789abcdef0123456789abcdef01234567").expect("a commit");
        assert_eq!(name.id(), DEFAULT_MODEL);
        assert!(name.is_pinned());
        assert_eq!(RepoName::parse(DEFAULT_MODEL).expect("an id").to_string(), DEFAULT_MODEL);
    }
}
