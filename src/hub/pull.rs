//! A repository from the hub into the cache: list, check room, small files, then weights, several at once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::RepoCache;
use super::client::{Asked, Client};
use super::fetch::fetch;
use super::listing::{Listing, RemoteFile};
use super::select::{Selection, is_candidate};
use super::session::{Halt, Message, Patience, Session};
use super::{Error, RepoName, Settings, locate};
use crate::checkpoint;
use crate::disk;
use crate::interrupt::Interrupt;

/// Left free beside what is fetched, for folders, links and locks.
const MARGIN_BYTES: u64 = 1 << 20;

/// Files that are fetched at the same time.
const FILES_AT_ONCE: usize = 4;

/// How often progress is told and interrupts are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How long an interrupted pull waits for its threads. One that waits for the network is left behind: what it has
/// written is whole, and it writes nothing more.
const GRACE: Duration = Duration::from_millis(500);

/// What happens during a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something is missing and will be fetched.
    Started {
        /// Files that are missing or not whole.
        files: usize,
        /// Bytes still to come.
        bytes: u64,
    },
    /// How far it is.
    Progress {
        /// Bytes received.
        done: u64,
        /// Bytes that will have been received in the end.
        total: u64,
    },
    /// Another process is fetching the same file.
    Waiting {
        /// The file.
        what: String,
    },
    /// Something failed and will be tried again.
    Retrying {
        /// The file or the listing.
        what: String,
        /// What went wrong.
        reason: String,
        /// How long it waits.
        pause: Duration,
    },
    /// The hub cannot be reached; what the cache has of this revision is used.
    Fallback {
        /// What went wrong.
        reason: String,
        /// The commit in the cache.
        commit: String,
    },
}

/// A checkpoint that is complete in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The snapshot's directory.
    pub dir: PathBuf,
    /// The commit that the revision means.
    pub commit: String,
    /// Bytes that were received for it.
    pub received_bytes: u64,
}

/// Brings everything that the loader needs of `repo` into the cache.
///
/// A commit that is cached whole, or any cached revision when offline, needs no network. Interrupting it leaves what has
/// arrived, and the next pull goes on from there.
///
/// # Errors
/// Any [`Error`] of this module.
///
/// # Panics
/// If one of its threads panics, with that thread's panic.
pub fn pull(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Pulled, Error> {
    interrupt.check()?;
    let (sender, messages) = channel();
    let session = Arc::new(Session {
        settings: settings.clone(),
        repo: repo.clone(),
        cache: RepoCache::new(&settings.cache_dir, repo),
        client: Client::new(settings),
        messages: sender,
        stop: AtomicBool::new(false),
        done: AtomicU64::new(0),
        total: AtomicU64::new(0),
    });
    std::thread::spawn({
        let session = Arc::clone(&session);
        move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&session)));
            // Nobody listens any more after an interrupt.
            let _ = session.messages.send(Message::Finished(outcome));
        }
    });
    let mut interrupted_at = None;
    loop {
        if let (Err(interrupted), None) = (interrupt.check(), interrupted_at) {
            session.stop.store(true, Ordering::Relaxed);
            interrupted_at = Some((Instant::now(), interrupted));
        }
        if let Some((_, interrupted)) = interrupted_at.filter(|(at, _)| at.elapsed() > GRACE) {
            return Err(interrupted.into());
        }
        match messages.recv_timeout(TICK) {
            Ok(Message::Event(event)) => on_event(event),
            Ok(Message::Finished(Err(panic))) => resume_unwind(panic),
            Ok(Message::Finished(Ok(outcome))) => {
                return outcome.map_err(|halt| match (halt, interrupted_at) {
                    (Halt::Stopped | Halt::Failed(_), Some((_, interrupted))) => interrupted.into(),
                    (Halt::Failed(error), None) => error,
                    (Halt::Stopped, None) => unreachable!("only an interrupt or a failure stops a pull"),
                });
            }
            Err(_) => {
                let (done, total) = (session.done.load(Ordering::Relaxed), session.total.load(Ordering::Relaxed));
                if total > 0 {
                    on_event(Event::Progress { done, total });
                }
            }
        }
    }
}

fn run(session: &Session) -> Result<Pulled, Halt> {
    let (settings, repo) = (&session.settings, &session.repo);
    let cached = locate::cached(settings, repo);
    let pulled = |dir: PathBuf, commit: String| {
        let received_bytes = session.done.load(Ordering::Relaxed);
        Pulled { dir, commit, received_bytes }
    };
    let cached = match (cached, settings.offline) {
        (Ok((dir, commit)), offline) if repo.is_pinned() || offline.is_some() => return Ok(pulled(dir, commit)),
        (Err(error), Some(by)) => return Err(Error::Offline { why: Box::new(error), by }.into()),
        (cached, _) => cached.ok(),
    };
    let listing = match (ask_listing(session, cached.is_some()), cached) {
        (Err(Halt::Failed(error)), Some((dir, commit))) if error.is_about_connection() => {
            session.tell(Event::Fallback { reason: error.to_string(), commit: commit.clone() });
            return Ok(pulled(dir, commit));
        }
        (outcome, _) => outcome?,
    };
    let selection = Selection::of(repo, &listing)?;
    check_sizes(repo, &selection)?;
    let cache = &session.cache;
    let is_missing = |file: &&RemoteFile| !cache.holds(&listing.commit, &file.name, file.size, &file.digest);
    let missing: Vec<&RemoteFile> = selection.files().filter(is_missing).collect();
    if !missing.is_empty() {
        let left = |file: &RemoteFile| file.size - cache.incomplete_bytes(&file.digest).min(file.size);
        let bytes = missing.iter().fold(0u64, |sum, file| sum.saturating_add(left(file)));
        disk::check(&settings.cache_dir, bytes.saturating_add(MARGIN_BYTES)).map_err(Error::from)?;
        session.total.store(bytes, Ordering::Relaxed);
        session.tell(Event::Started { files: missing.len(), bytes });
    }
    let dir = cache.snapshot(&listing.commit);
    bring(session, &listing.commit, &selection.small)?;
    check_small_files(repo, &dir, &selection)?;
    bring(session, &listing.commit, &selection.weights)?;
    if !repo.is_pinned() {
        cache.write_reference(repo.revision(), &listing.commit)?;
    }
    Ok(pulled(dir, listing.commit))
}

/// With a cached copy to fall back on, one try is enough.
fn ask_listing(session: &Session, has_fallback: bool) -> Result<Listing, Halt> {
    let asked = Asked { repo: &session.repo, file: None };
    let mut patience = Patience::new(session, if has_fallback { 0 } else { session.settings.retries });
    loop {
        match Listing::ask(&session.client, &session.repo, is_candidate) {
            Ok(listing) => return Ok(listing),
            Err(failure) => patience.after(failure, &asked)?,
        }
    }
}

/// Refuses small files that are not small, before anything is fetched.
fn check_sizes(repo: &RepoName, selection: &Selection) -> Result<(), Error> {
    let check = |file: &RemoteFile| checkpoint::check_size(Path::new(&file.name), &file.name, file.size);
    let not_loadable = |source| Error::NotLoadable { repo: repo.to_string(), source };
    selection.small.iter().try_for_each(check).map_err(not_loadable)
}

/// Refuses what could not be loaded, before gigabytes are fetched for it.
fn check_small_files(repo: &RepoName, dir: &Path, selection: &Selection) -> Result<(), Error> {
    let not_loadable = |source| Error::NotLoadable { repo: repo.to_string(), source };
    let documents = checkpoint::Documents::Directory(dir.to_owned());
    let config = checkpoint::Config::read(&documents, &[]).map_err(not_loadable)?;
    let shards = checkpoint::shard_names(dir).map_err(not_loadable)?;
    let is_listed = |shard: &&String| selection.weights.iter().any(|file| file.name == **shard);
    let is_single = matches!(selection.weights.as_slice(), [single] if single.name == "model.safetensors");
    if let Some(shard) = shards.iter().find(|shard| !is_single && !is_listed(shard)) {
        return Err(Error::MissingFile { repo: repo.to_string(), file: format!("{shard}, which its index names") });
    }
    let weight_bytes = selection.weights.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
    checkpoint::check_promises(dir, config, weight_bytes, !is_single).map_err(not_loadable)
}

/// Fetches what is missing of `files`, a few at a time, and links each as soon as it is whole.
fn bring(session: &Session, commit: &str, files: &[RemoteFile]) -> Result<(), Halt> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let held = session.cache.holds(commit, &file.name, file.size, &file.digest);
            let outcome = session.check_stop().and_then(|()| if held { Ok(()) } else { fetch(session, commit, file) });
            let linked = outcome.and_then(|()| Ok(session.cache.link(commit, &file.name, &file.digest)?));
            if let Err(halt) = linked {
                session.stop.store(true, Ordering::Relaxed);
                if let Halt::Failed(error) = halt {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..FILES_AT_ONCE.min(files.len()) {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(Halt::Failed(error)),
        None => session.check_stop(),
    }
}
