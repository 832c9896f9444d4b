//! Cached files against their checksums, several at once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::cache::RepoCache;
use super::digest::Digest;
use super::error::Error;
use super::folder::entries;
use super::locate;
use super::name::RepoName;
use super::settings::Settings;
use crate::checkpoint;
use crate::interrupt::Interrupt;

const BUFFER_BYTES: usize = 1 << 20;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(20);

/// What was found out about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its bytes have the checksum that its blob is named after.
    Sound,
    /// They have another one.
    Damaged {
        /// The checksum of what is there.
        found: Digest,
    },
    /// Nothing says what its checksum should be: it is no link to a blob with a checksum for a name, and no listing was
    /// kept.
    Unknown,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its name in the repository.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The checksum that it should have, where one is known.
    pub expected: Option<Digest>,
    /// What was found out.
    pub verdict: Verdict,
}

/// What was found out about a cached snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its commit.
    pub commit: String,
    /// Its files, by name.
    pub files: Vec<Verified>,
}

/// Recomputes the checksums of all files of a cached snapshot, on all cores. `on_progress` is told bytes done and in
/// all.
///
/// # Errors
/// A repository that is not cached as a whole, files that cannot be read, or an interrupt.
pub fn verify(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification, Error> {
    let cache = RepoCache::new(&settings.cache_dir, repo);
    let commit = locate::commit(settings, repo)?;
    if let Some(missing) = checkpoint::first_absent(&cache.snapshot(&commit)) {
        return Err(Error::PartlyCached { kind: repo.kind(), repo: repo.to_string(), missing });
    }
    let files = snapshot_files(&cache, &commit)?;
    let total = files.iter().map(|file| file.bytes).sum();
    // The largest first, so that no core is left alone with it at the end.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(files[index].bytes));

    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = files[index].verify(interrupt, &done);
            let failed = outcome.is_err();
            if let Ok(mut results) = results.lock() {
                results.push((index, outcome));
            }
            if failed {
                return;
            }
        }
    };
    let cores = crate::threads::count();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(files.len())).map(|_| scope.spawn(work)).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            on_progress(done.load(Ordering::Relaxed), total);
            std::thread::sleep(TICK);
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    let files = results.into_iter().map(|(_, outcome)| outcome).collect::<Result<_, _>>()?;
    Ok(Verification { commit, files })
}

struct SnapshotFile {
    name: String,
    path: PathBuf,
    bytes: u64,
    expected: Option<Digest>,
}

fn snapshot_files(cache: &RepoCache, commit: &str) -> Result<Vec<SnapshotFile>, Error> {
    let tree = cache.tree(commit);
    let mut files = Vec::new();
    for path in entries(&cache.snapshot(commit))? {
        let metadata = path.metadata().map_err(|source| Error::Read { path: path.clone(), source })?;
        if metadata.is_file() {
            let target = std::fs::read_link(&path).ok();
            let blob = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let expected = blob.and_then(Digest::parse).or_else(|| tree.as_ref()?.digest(&name));
            files.push(SnapshotFile { name, bytes: metadata.len(), expected, path });
        }
    }
    Ok(files)
}

impl SnapshotFile {
    fn verify(&self, interrupt: &Interrupt, done: &AtomicU64) -> Result<Verified, Error> {
        let verdict = match &self.expected {
            None => Verdict::Unknown,
            Some(expected) => match self.digest(expected, interrupt, done)? {
                found if found == *expected => Verdict::Sound,
                found => Verdict::Damaged { found },
            },
        };
        Ok(Verified { name: self.name.clone(), bytes: self.bytes, expected: self.expected.clone(), verdict })
    }

    fn digest(&self, like: &Digest, interrupt: &Interrupt, done: &AtomicU64) -> Result<Digest, Error> {
        let read = |source| Error::Read { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(read)?;
        let mut hasher = like.hasher(self.bytes);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            interrupt.check()?;
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    done.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(read(source)),
            }
        }
    }
}
