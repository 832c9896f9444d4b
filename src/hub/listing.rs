//! A repository's files at one commit, with size and checksum of each, as the hub lists them.

use std::io::Read;

use percent_encoding::{AsciiSet, CONTROLS};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Asked, Client, Failure};
use super::digest::Digest;
use super::error::Error;
use super::name::{RepoName, is_commit};
use super::remote::{MAX_LISTING_BYTES, RemoteFile, Sibling};
use super::trees::Tree;

/// What cannot stand in the path of an address as it is.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// What there is at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) commit: String,
    /// Those that the loader could use.
    pub(super) files: Vec<RemoteFile>,
    /// The names of all others.
    pub(super) others: Vec<String>,
    /// Size and checksums of all files, to be kept; `None` where the hub left some out.
    pub(super) tree: Option<Tree>,
    /// What its publisher says about it.
    pub(super) terms: Terms,
}

/// Under which terms a repository is published, as the hub shows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Its licence, by the hub's short name.
    pub licence: Option<String>,
    /// Whether the hub lets in only who has agreed to something on its page.
    pub is_gated: bool,
}

/// `GET /api/models/OWNER/NAME/revision/REVISION?blobs=true`, or the same below `datasets`.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
    /// `false`, or how the gate is kept: `"auto"`, `"manual"`.
    #[serde(default)]
    gated: Value,
    #[serde(default)]
    tags: Vec<String>,
}

impl Answer {
    fn terms(&self) -> Terms {
        let licence = self.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned);
        Terms { licence, is_gated: !matches!(self.gated, Value::Null | Value::Bool(false)) }
    }
}

impl Listing {
    /// Asks the hub what there is at `revision`. Files without a checksum in the listing, as some mirrors answer, are
    /// asked for one by one where `is_wanted`.
    pub(super) fn ask(
        client: &Client,
        repo: &RepoName,
        revision: &str,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Failure> {
        let asked = Asked { repo, file: None };
        let revision_part = revision.replace('/', "%2F");
        let path = format!("/api/{}s/{}/revision/{revision_part}?blobs=true", repo.kind(), repo.id());
        let answer = client.get(&path, 0, None, &asked)?;
        let bad = |message: String| {
            Failure::Fatal(Error::BadAnswer { what: asked.what(), host: client.host().to_owned(), message })
        };
        let mut bytes = Vec::new();
        let body = answer.response.into_body().into_reader();
        body.take(MAX_LISTING_BYTES).read_to_end(&mut bytes).map_err(|error| Failure::transient(error.to_string()))?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if !is_commit(&answer.sha) {
            return Err(bad(format!("its commit is `{}`", answer.sha)));
        }
        if is_commit(revision) && answer.sha != revision {
            return Err(bad(format!("it is about commit {}", answer.sha)));
        }
        let tree = Tree::of(&answer.siblings);
        let terms = answer.terms();
        let (mut files, mut others) = (Vec::new(), Vec::new());
        for sibling in answer.siblings {
            if !is_wanted(&sibling.rfilename) {
                others.push(sibling.rfilename);
                continue;
            }
            files.push(match listed(&sibling).map_err(bad)? {
                Some(file) => file,
                None => ask_for_one(client, repo, &answer.sha, sibling.rfilename)?,
            });
        }
        Ok(Self { commit: answer.sha, files, others, tree, terms })
    }
}

/// What the listing tells of a file; `None` where size or checksum is left out.
fn listed(sibling: &Sibling) -> Result<Option<RemoteFile>, String> {
    let (size, digest) = match (&sibling.lfs, sibling.size, &sibling.blob_id) {
        (Some(lfs), ..) => (lfs.size, &lfs.sha256),
        (None, Some(size), Some(blob_id)) => (size, blob_id),
        _ => return Ok(None),
    };
    match Digest::parse(digest) {
        Some(digest) => Ok(Some(RemoteFile { name: sibling.rfilename.clone(), size, digest })),
        None => Err(format!("the checksum of `{}` is `{digest}`", sibling.rfilename)),
    }
}

/// `HEAD /OWNER/NAME/resolve/COMMIT/FILE`: the entity tag is the checksum, the linked one where the file is kept
/// elsewhere.
fn ask_for_one(client: &Client, repo: &RepoName, commit: &str, name: String) -> Result<RemoteFile, Failure> {
    let asked = Asked { repo, file: Some(&name) };
    let answer = client.head(&resolve_path(repo, commit, &name), &asked)?;
    let digest = answer.hub_header("x-linked-etag").or_else(|| answer.hub_header("etag")).and_then(Digest::parse_etag);
    let size = answer.hub_header("x-linked-size").or_else(|| answer.hub_header("content-length"));
    match (digest, size.and_then(|size| size.parse().ok())) {
        (Some(digest), Some(size)) => Ok(RemoteFile { name, size, digest }),
        _ => Err(Failure::Fatal(Error::BadAnswer {
            what: asked.what(),
            host: client.host().to_owned(),
            message: "it tells no checksum or size, so that the file could not be checked".to_owned(),
        })),
    }
}

/// Where a file's bytes are asked for.
pub(super) fn resolve_path(repo: &RepoName, commit: &str, file: &str) -> String {
    format!("/{}/resolve/{commit}/{}", repo.path(), percent_encoding::utf8_percent_encode(file, IN_PATH))
}
