//! The hub's cache on disk, in the layout that Python's huggingface_hub and hf-hub share:
//!
//! ```text
//! models--owner--name/blobs/DIGEST                    the bytes, once per content
//! models--owner--name/blobs/DIGEST.incomplete         what has arrived of them so far
//! models--owner--name/snapshots/COMMIT/config.json    a relative link to a blob
//! models--owner--name/refs/main                       the commit that a branch or tag meant when it was asked for
//! .locks/models--owner--name/DIGEST.lock              held while a blob is downloaded
//! ```
//!
//! A blob or link appears under its final name only when it is whole.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::name::is_plain;
use super::{Error, RepoName};

/// One repository's part of the cache.
#[derive(Debug, Clone)]
pub(super) struct RepoCache {
    pub(super) folder: PathBuf,
    pub(super) locks: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache_dir: &Path, repo: &RepoName) -> Self {
        let name = repo.to_hf_hub().folder_name();
        Self { folder: cache_dir.join(&name), locks: cache_dir.join(".locks").join(&name) }
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.as_str())
    }

    pub(super) fn incomplete(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(format!("{}.incomplete", digest.as_str()))
    }

    pub(super) fn lock(&self, digest: &Digest) -> PathBuf {
        self.locks.join(format!("{}.lock", digest.as_str()))
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// The commit that a revision means, as far as the cache knows.
    pub(super) fn commit(&self, repo: &RepoName) -> Option<String> {
        if repo.is_pinned() {
            return Some(repo.revision().to_owned());
        }
        let commit = fs::read_to_string(self.reference(repo.revision())).ok()?.trim().to_owned();
        is_plain(&commit).then_some(commit)
    }

    /// Remembers which commit a branch or tag means.
    pub(super) fn write_reference(&self, revision: &str, commit: &str) -> Result<(), Error> {
        let path = self.reference(revision);
        if fs::read_to_string(&path).is_ok_and(|known| known == commit) {
            return Ok(());
        }
        let partial = self.folder.join(format!(".ref-{}", std::process::id()));
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            fs::write(&partial, commit)?;
            fs::rename(&partial, &path)
        };
        write().map_err(|source| Error::Write { path: path.clone(), source })
    }

    /// Size of what has arrived of a file.
    pub(super) fn incomplete_bytes(&self, digest: &Digest) -> u64 {
        fs::metadata(self.incomplete(digest)).map_or(0, |metadata| metadata.len())
    }

    /// Whether a file's bytes are there: under its own name where the file system has no links, else as a blob.
    pub(super) fn holds(&self, commit: &str, file: &str, size: u64, digest: &Digest) -> bool {
        let has_size = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size);
        let pointer = self.snapshot(commit).join(file);
        has_size(&self.blob(digest)) || (!pointer.is_symlink() && has_size(&pointer))
    }

    /// Makes a file of a snapshot point to its blob.
    pub(super) fn link(&self, commit: &str, file: &str, digest: &Digest) -> Result<(), Error> {
        let dir = self.snapshot(commit);
        let (pointer, blob) = (dir.join(file), self.blob(digest));
        let target = Path::new("../../blobs").join(digest.as_str());
        if fs::read_link(&pointer).is_ok_and(|known| known == target) || !blob.exists() {
            return Ok(());
        }
        let link = || {
            fs::create_dir_all(&dir)?;
            match fs::remove_file(&pointer) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => symlink(&target, &blob, &pointer),
            }
        };
        match link() {
            // Another process made the same link at the same time.
            Err(_) if fs::read_link(&pointer).is_ok_and(|known| known == target) => Ok(()),
            other => other.map_err(|source| Error::Write { path: pointer, source }),
        }
    }
}

/// A link; where the file system has none, the blob itself, as Python does it.
fn symlink(target: &Path, blob: &Path, pointer: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    match std::os::unix::fs::symlink(target, pointer) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {}
        other => return other,
    }
    let _ = target;
    fs::rename(blob, pointer)
}
