//! The hub's cache on disk, in the layout that Python's huggingface_hub and hf-hub share:
//!
//! ```text
//! models--owner--name/blobs/DIGEST                    the bytes, once per content
//! models--owner--name/blobs/DIGEST.incomplete         what has arrived of them so far
//! models--owner--name/snapshots/COMMIT/config.json    a relative link to a blob
//! models--owner--name/refs/main                       the commit that a branch or tag meant when it was asked for
//! models--owner--name/trees/COMMIT.json               a commit's files with checksums, where links do not tell them
//! .locks/models--owner--name/DIGEST.lock              held while a blob is downloaded
//! .locks/models--owner--name.lock                     shared by downloads, held alone by a removal; ours only
//! ```
//!
//! Those of datasets are `datasets--owner--name`.
//!
//! A blob or link appears under its final name only when it is whole. Where the file system has no links, a snapshot
//! holds the files themselves, as Python does it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::digest::Digest;
use super::error::Error;
use super::folder::entries;
use super::name::{RepoName, is_commit, is_plain};
use super::remote::RemoteFile;
use super::small_file;
use super::trees::Tree;

/// Links made by this process.
static LINKS: AtomicUsize = AtomicUsize::new(0);

/// Fewer digits of a commit tell too little.
const MIN_SHORT_COMMIT: usize = 4;

/// One repository's part of the cache.
///
/// hf-hub says how the folders of a repository and of its snapshots are called. The rest of it is not used: it writes
/// references in place, where another process can read a part of one, and its client checks no checksums.
#[derive(Debug, Clone)]
pub(super) struct RepoCache {
    pub(super) folder: PathBuf,
    pub(super) locks: PathBuf,
    cache: hf_hub::Cache,
    repo: hf_hub::Repo,
    /// What listings of earlier fetches have told, by commit.
    trees: OnceLock<Vec<(String, Tree)>>,
}

impl RepoCache {
    pub(super) fn new(cache_dir: &Path, repo: &RepoName) -> Self {
        let (cache, repo) = (hf_hub::Cache::new(cache_dir.to_owned()), repo.to_hf_hub());
        let name = repo.folder_name();
        Self {
            folder: cache_dir.join(&name),
            locks: cache_dir.join(".locks").join(&name),
            cache,
            repo,
            trees: OnceLock::new(),
        }
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.repo(self.repo.clone()).pointer_path(commit)
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.as_str())
    }

    pub(super) fn incomplete(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(format!("{}.incomplete", digest.as_str()))
    }

    /// A name of this process's own for what has arrived of a file, of the form that Python gives its own.
    pub(super) fn private_incomplete(&self, digest: &Digest) -> PathBuf {
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
        let own = format!("{}.{:x}-{nanos:08x}.incomplete", digest.as_str(), std::process::id());
        self.folder.join("blobs").join(own)
    }

    /// The lock of the whole repository. Removing the folder of the other locks does not touch it.
    pub(super) fn repository_lock(&self) -> PathBuf {
        let mut path = self.locks.clone().into_os_string();
        path.push(".lock");
        path.into()
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
        match small_file::read_line(&self.reference(repo.revision())) {
            Ok(commit) => Some(commit).filter(|commit| is_plain(commit)),
            Err(_) => self.commit_in_short(repo.revision()),
        }
    }

    /// The only cached commit that begins with these digits.
    fn commit_in_short(&self, digits: &str) -> Option<String> {
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || digits.len() < MIN_SHORT_COMMIT {
            return None;
        }
        let snapshots = entries(&self.folder.join("snapshots")).ok()?;
        let names = snapshots.iter().filter_map(|path| path.file_name()?.to_str());
        let mut commits = names.filter(|name| is_commit(name) && name.starts_with(digits));
        let commit = commits.next()?.to_owned();
        commits.next().is_none().then_some(commit)
    }

    pub(super) fn tree_path(&self, commit: &str) -> PathBuf {
        self.folder.join("trees").join(format!("{commit}.json"))
    }

    /// What a listing has told about a commit, if it was kept.
    pub(super) fn tree(&self, commit: &str) -> Option<Tree> {
        Tree::read(&self.tree_path(commit))
    }

    /// Keeps what a listing tells about a commit.
    pub(super) fn write_tree(&self, commit: &str, tree: &Tree) -> Result<(), Error> {
        let path = self.tree_path(commit);
        if Tree::read(&path).is_some() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(tree).map_err(std::io::Error::from);
        let write = text.and_then(|text| self.write_whole(&path, &text));
        write.map_err(|source| Error::Write { path, source })
    }

    /// Whether the checksums of a snapshot's files are known: from its links, or from a listing that was kept.
    pub(super) fn tells_checksums(&self, commit: &str) -> bool {
        let are_links = |files: Vec<PathBuf>| files.iter().all(|file| file.is_symlink());
        self.tree(commit).is_some() || entries(&self.snapshot(commit)).is_ok_and(are_links)
    }

    /// Writes a small file so that others see it whole or not at all.
    fn write_whole(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let partial = self.folder.join(format!(".new-{}", std::process::id()));
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        fs::write(&partial, text)?;
        fs::rename(&partial, path)
    }

    /// Remembers which commit a branch or tag means.
    pub(super) fn write_reference(&self, revision: &str, commit: &str) -> Result<(), Error> {
        let path = self.reference(revision);
        if small_file::read_line(&path).is_ok_and(|known| known == commit) {
            return Ok(());
        }
        self.write_whole(&path, commit).map_err(|source| Error::Write { path, source })
    }

    /// Size of what has arrived of a file.
    pub(super) fn incomplete_bytes(&self, digest: &Digest) -> u64 {
        fs::metadata(self.incomplete(digest)).map_or(0, |metadata| metadata.len())
    }

    /// Whether a file's bytes are there: under its own name where the file system has no links, else as a blob.
    pub(super) fn holds(&self, commit: &str, file: &RemoteFile) -> bool {
        has_size(&self.blob(&file.digest), file.size) || self.holds_plain(commit, &file.name, file.size)
    }

    /// Whether a snapshot holds the file itself, not a link.
    fn holds_plain(&self, commit: &str, name: &str, size: u64) -> bool {
        let pointer = self.snapshot(commit).join(name);
        !pointer.is_symlink() && has_size(&pointer, size)
    }

    /// Whether a file can be read, whole, under its name in the snapshot.
    pub(super) fn shows(&self, commit: &str, file: &RemoteFile) -> bool {
        has_size(&self.snapshot(commit).join(&file.name), file.size)
    }

    /// Whether a file's name in the snapshot is that of the file itself, which tells no checksum.
    pub(super) fn is_no_link(&self, commit: &str, name: &str) -> bool {
        self.snapshot(commit).join(name).symlink_metadata().is_ok_and(|metadata| metadata.is_file())
    }

    /// Where there may be bytes of a file.
    pub(super) fn places(&self, commit: &str, file: &RemoteFile) -> [PathBuf; 3] {
        [self.blob(&file.digest), self.snapshot(commit).join(&file.name), self.incomplete(&file.digest)]
    }

    /// The same file in another snapshot, where snapshots hold the files themselves.
    pub(super) fn twin(&self, file: &RemoteFile) -> Option<PathBuf> {
        // Read once: a dataset has thousands of files.
        let trees = self.trees.get_or_init(|| {
            let read = |path: &PathBuf| {
                let commit = path.file_stem()?.to_str().filter(|commit| is_commit(commit))?;
                Some((commit.to_owned(), Tree::read(path)?))
            };
            entries(&self.folder.join("trees")).unwrap_or_default().iter().filter_map(read).collect()
        });
        trees.iter().find_map(|(commit, tree)| {
            let is_same = |(name, size, digest): &(&str, u64, Digest)| {
                (*size, digest) == (file.size, &file.digest)
                    && name.split('/').all(is_plain)
                    && self.holds_plain(commit, name, *size)
            };
            tree.files().find(is_same).map(|(name, ..)| self.snapshot(commit).join(name))
        })
    }

    /// Copies a file to where its blob would be.
    pub(super) fn copy_to_blob(&self, from: &Path, digest: &Digest) -> Result<(), Error> {
        let (partial, blob) = (self.private_incomplete(digest), self.blob(digest));
        let copy = || {
            fs::create_dir_all(self.folder.join("blobs"))?;
            fs::copy(from, &partial)?;
            fs::rename(&partial, &blob)
        };
        copy().map_err(|source| Error::Write { path: blob.clone(), source })
    }

    /// Makes a file of a snapshot lead to its blob, in one step; what was there under its name gives way.
    pub(super) fn link(&self, commit: &str, file: &RemoteFile) -> Result<(), Error> {
        let dir = self.snapshot(commit);
        let (pointer, blob) = (dir.join(&file.name), self.blob(&file.digest));
        if !has_size(&blob, file.size) {
            return match self.holds_plain(commit, &file.name, file.size) {
                true => Ok(()),
                false => Err(Error::Vanished { file: file.name.clone() }),
            };
        }
        // Datasets have folders.
        let depth = file.name.matches('/').count();
        let target = Path::new(&"../".repeat(depth)).join("../../blobs").join(file.digest.as_str());
        if fs::read_link(&pointer).is_ok_and(|known| known == target) {
            return Ok(());
        }
        // Files of one content are linked at the same time.
        let count = LINKS.fetch_add(1, Ordering::Relaxed);
        let new = self.folder.join(format!(".link-{}-{count}", std::process::id()));
        let link = || {
            fs::create_dir_all(pointer.parent().unwrap_or(&dir))?;
            let _ = fs::remove_file(&new);
            match symlink(&target, &new) {
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                    fs::rename(&blob, &pointer)
                }
                Err(error) => Err(error),
                Ok(()) => fs::rename(&new, &pointer),
            }
        };
        link().map_err(|source| Error::Write { path: pointer.clone(), source })
    }
}

fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size)
}

#[cfg(unix)]
fn symlink(target: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _at: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// What this program has fetched, hf-hub finds, and the other way round.
    #[test]
    fn hf_hub_reads_the_same_cache() {
        let dir = tempfile::tempdir().expect("a folder");
        let repo = RepoName::parse("owner/name@v1").expect("a repository");
        let cache = RepoCache::new(dir.path(), &repo);
        let theirs = hf_hub::Cache::new(dir.path().to_owned()).repo(repo.to_hf_hub());
        let digest = Digest::GitBlob("0".repeat(40));
        fs::create_dir_all(cache.folder.join("blobs")).expect("a folder");
        fs::write(cache.blob(&digest), "{}").expect("a blob");
        let file = RemoteFile { name: "config.json".to_owned(), size: 2, digest };
        cache.link(COMMIT, &file).expect("a link");
        assert_eq!(theirs.get("config.json"), None, "no branch or tag means the commit yet");
        cache.write_reference(repo.revision(), COMMIT).expect("a reference");
        let found = theirs.get("config.json").expect("hf-hub finds the file");
        assert_eq!(fs::read_to_string(found).expect("its bytes"), "{}");

        let other = RepoName::parse("owner/name@v2").expect("a repository");
        assert_eq!(cache.commit(&other), None);
        let theirs = hf_hub::Cache::new(dir.path().to_owned()).repo(other.to_hf_hub());
        theirs.create_ref(COMMIT).expect("hf-hub's reference");
        assert_eq!(cache.commit(&other).as_deref(), Some(COMMIT));
    }
}
