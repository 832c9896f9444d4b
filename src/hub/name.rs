//! A repository of the hub with a revision, from how it is named or where its page is.

use super::error::Error;
use super::kind::RepoKind;
use super::known::DEFAULT_MODEL;

/// The revision that is used when none is named.
const DEFAULT_REVISION: &str = "main";

/// A repository of the hub at a revision: a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoName {
    kind: RepoKind,
    id: String,
    /// As given; none: the default branch.
    revision: Option<String>,
}

impl RepoName {
    /// Reads `owner/name[@revision]`, `@revision` of the default model, or the address of a repository's page on the
    /// hub as a browser shows it.
    ///
    /// # Errors
    /// [`Error::NoRepositoryId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = match page_path(text) {
            Some(path) => of_page(path),
            None => match text.split_once('@') {
                Some(("", revision)) => Some((DEFAULT_MODEL.to_owned(), Some(revision.to_owned()))),
                Some((id, revision)) => Some((id.to_owned(), Some(revision.to_owned()))),
                None => Some((text.to_owned(), None)),
            },
        };
        let is_valid = |(id, revision): &(String, Option<String>)| {
            is_repository_id(id) && revision.as_deref().is_none_or(is_revision)
        };
        match parsed.filter(is_valid) {
            Some((id, revision)) => Ok(Self { kind: RepoKind::Model, id, revision }),
            None => Err(Error::NoRepositoryId { name: text.to_owned() }),
        }
    }

    /// The same of a dataset, whose name is `owner/name`, with a revision of its own or the default one.
    ///
    /// # Errors
    /// [`Error::NoRepositoryId`] for what can be no name.
    pub fn dataset(id: &str, revision: Option<&str>) -> Result<Self, Error> {
        match is_repository_id(id) && revision.is_none_or(is_revision) {
            true => Ok(Self { kind: RepoKind::Dataset, id: id.to_owned(), revision: revision.map(str::to_owned) }),
            false => Err(Error::NoRepositoryId { name: id.to_owned() }),
        }
    }

    /// What it holds.
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// Its place in the part of the hub where its kind is: what stands before `/resolve`, and on its page.
    pub(super) fn path(&self) -> String {
        match self.kind {
            RepoKind::Model => self.id.clone(),
            RepoKind::Dataset => format!("datasets/{}", self.id),
        }
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// Whether a revision was named, be it the default one.
    pub fn has_revision(&self) -> bool {
        self.revision.is_some()
    }

    /// Whether the revision is a full commit hash, which always means the same files.
    pub fn is_pinned(&self) -> bool {
        is_commit(self.revision())
    }

    /// The same repository as the crate hf-hub names it.
    pub(super) fn to_hf_hub(&self) -> hf_hub::Repo {
        let kind = match self.kind {
            RepoKind::Model => hf_hub::RepoType::Model,
            RepoKind::Dataset => hf_hub::RepoType::Dataset,
        };
        hf_hub::Repo::with_revision(self.id.clone(), kind, self.revision().to_owned())
    }
}

impl std::fmt::Display for RepoName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.revision() {
            DEFAULT_REVISION => f.write_str(&self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

/// The hub's hosts, as addresses of its pages name them.
const PAGE_HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// First parts of addresses on the hub that are no owners of models.
const NO_OWNERS: [&str; 8] = ["api", "blog", "collections", "datasets", "docs", "models", "papers", "spaces"];

/// What follows the host in the address of one of the hub's pages; `None` for any other text.
fn page_path(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let (host, path) = rest.split_once('/')?;
    PAGE_HOSTS.contains(&host).then_some(path)
}

/// The repository of a page, and the revision that the page shows: `owner/name`, `owner/name/tree/REVISION`, or a
/// file's page or address.
fn of_page(path: &str) -> Option<(String, Option<String>)> {
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let (owner, name, revision) = match *parts.as_slice() {
        [owner, name] => (owner, name, None),
        // The page of a folder is no checkpoint's; a file is of the checkpoint beside it.
        [owner, name, "tree" | "commit", revision] | [owner, name, "blob" | "resolve", revision, _] => {
            (owner, name, Some(revision.replace("%2F", "/").replace("%2f", "/")))
        }
        _ => return None,
    };
    (!NO_OWNERS.contains(&owner)).then(|| (format!("{owner}/{name}"), revision))
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

    #[test]
    fn addresses_of_the_hubs_pages_name_repositories() {
        for (address, name) in [
            ("https://huggingface.co/owner/name", "owner/name"),
            ("https://huggingface.co/owner/name/", "owner/name"),
            ("https://huggingface.co/owner/name?library=transformers#usage", "owner/name"),
            ("http://hf.co/owner/name", "owner/name"),
            ("huggingface.co/owner/name/tree/v1.0", "owner/name@v1.0"),
            ("https://huggingface.co/owner/name/tree/refs%2Fpr%2F1", "owner/name@refs/pr/1"),
            ("https://huggingface.co/owner/name/blob/v2/config.json", "owner/name@v2"),
            ("https://huggingface.co/owner/name/resolve/v2/config.json?download=true", "owner/name@v2"),
        ] {
            assert_eq!(RepoName::parse(address).map(|name| name.to_string()).ok().as_deref(), Some(name), "{address}");
        }
        for wrong in [
            "https://huggingface.co/owner",
            "huggingface.co/owner",
            "https://huggingface.co/datasets/owner/name",
            "https://huggingface.co/spaces/name",
            "https://huggingface.co/owner/name/tree/main/folder",
            "https://huggingface.co/owner/name/tree/..%2Fx",
            "https://huggingface.co/owner/name/discussions",
            "https://example.org/owner/name",
        ] {
            assert!(RepoName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_revision_is_named_even_if_it_is_the_default() {
        for (text, named) in
            [("o/n", false), ("o/n@main", true), ("hf.co/o/n", false), ("hf.co/o/n/tree/main", true), ("@v1", true)]
        {
            assert_eq!(RepoName::parse(text).expect("a repository").has_revision(), named, "{text}");
        }
    }
}
