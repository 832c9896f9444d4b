//! Work that talks to the hub, as its threads share it: settings, progress, the way to say something, and when to stop.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::RepoCache;
use super::client::{Asked, Client, Failure};
use super::digest::Digest;
use super::error::Error;
use super::events::{Event, Halt, Message};
use super::lock::{Lock, Mode};
use super::name::RepoName;
use super::remote::RemoteFile;
use super::settings::Settings;
use crate::interrupt::Interrupt;

/// The first pause before another try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a pause looks whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// How often progress is told and interrupts are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How long interrupted work waits for its threads. One that waits for the network is left behind: what it has written
/// is whole, and it writes nothing more.
const GRACE: Duration = Duration::from_millis(500);

/// Files that are fetched at the same time.
const FILES_AT_ONCE: usize = 4;

pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) repo: RepoName,
    pub(super) cache: RepoCache,
    pub(super) client: Client,
    /// Names of files to fetch although they are there.
    pub(super) damaged: Vec<String>,
    tell: Box<dyn Fn(Event) + Send + Sync>,
    pub(super) stop: AtomicBool,
    /// Bytes received by now.
    pub(super) received: AtomicU64,
    /// The files that were missing.
    awaited: Mutex<Vec<Awaited>>,
}

/// A file on its way.
struct Awaited {
    digest: Digest,
    size: u64,
    here: u64,
}

/// Runs `work` on a thread of its own, tells its events, and stops it when somebody asks for that.
///
/// # Errors
/// Those of `work`, or an interrupt.
///
/// # Panics
/// If one of its threads panics, with that thread's panic.
pub(super) fn drive<T: Send + 'static>(
    settings: &Settings,
    repo: &RepoName,
    damaged: Vec<String>,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
    work: impl FnOnce(&Session) -> Result<T, Halt> + Send + 'static,
) -> Result<T, Error> {
    interrupt.check()?;
    let (sender, messages) = channel();
    let events = sender.clone();
    let session = Arc::new(Session {
        settings: settings.clone(),
        repo: repo.clone(),
        cache: RepoCache::new(&settings.cache_dir, repo),
        client: Client::new(settings),
        damaged,
        // Nobody listens any more after a stop.
        tell: Box::new(move |event| drop(events.send(Message::Event(event)))),
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
        awaited: Mutex::new(Vec::new()),
    });
    std::thread::spawn({
        let session = Arc::clone(&session);
        move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&session)));
            // Nobody listens any more after an interrupt.
            let _ = sender.send(Message::Finished(outcome));
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
                    (Halt::Stopped, None) => unreachable!("only an interrupt or a failure stops the work"),
                });
            }
            Err(_) => {
                let (done, total) = session.progress();
                if total > 0 {
                    on_event(Event::Progress { done, total });
                }
            }
        }
    }
}

impl Session {
    pub(super) fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    pub(super) fn check_stop(&self) -> Result<(), Halt> {
        if self.stop.load(Ordering::Relaxed) { Err(Halt::Stopped) } else { Ok(()) }
    }

    fn pause(&self, length: Duration) -> Result<(), Halt> {
        let started = Instant::now();
        while let Some(left) = length.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
            self.check_stop()?;
            std::thread::sleep(left.min(POLL));
        }
        self.check_stop()
    }

    /// Keeps removals away from the repository until the lock is dropped. `None` where the cache can only be read, so
    /// that nobody can remove anything either.
    pub(super) fn share_repository(&self) -> Result<Option<Lock>, Halt> {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let mut told = false;
        let waiting = || {
            if !std::mem::replace(&mut told, true) {
                self.tell(Event::Waiting { reason: format!("another process is removing `{}`", self.repo.id()) });
            }
            self.check_stop()
        };
        match Lock::wait(&self.cache.repository_lock(), Mode::Shared, waiting) {
            Ok(lock) => Ok(Some(lock)),
            Err(Halt::Failed(Error::Write { source, .. }))
                if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) =>
            {
                Ok(None)
            }
            Err(halt) => Err(halt),
        }
    }

    /// Whether a file is there and need not be fetched.
    pub(super) fn has(&self, commit: &str, file: &RemoteFile) -> bool {
        !self.damaged.contains(&file.name) && self.cache.holds(commit, file)
    }

    /// A file that need not be fetched because another snapshot holds the same.
    pub(super) fn twin(&self, file: &RemoteFile) -> Option<PathBuf> {
        if self.damaged.contains(&file.name) { None } else { self.cache.twin(file) }
    }

    /// Counts progress from here on over these files.
    pub(super) fn await_files(&self, files: &[&RemoteFile]) {
        let awaited = |file: &&RemoteFile| {
            let here = self.cache.incomplete_bytes(&file.digest).min(file.size);
            Awaited { digest: file.digest.clone(), size: file.size, here }
        };
        *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = files.iter().map(awaited).collect();
    }

    /// So many bytes of a file are here now.
    pub(super) fn set_here(&self, digest: &Digest, bytes: u64) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.iter_mut().filter(|file| file.digest == *digest).for_each(|file| file.here = bytes);
    }

    /// Bytes here and in all.
    fn progress(&self) -> (u64, u64) {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.iter().fold((0, 0), |(here, total), file| (here + file.here, total + file.size))
    }

    /// Does `work` for all `files`, a few at a time, and returns the results in their order; the first failure ends
    /// all.
    pub(super) fn for_each<T: Send>(
        &self,
        files: &[RemoteFile],
        work: impl Fn(&RemoteFile) -> Result<T, Halt> + Sync,
    ) -> Result<Vec<T>, Halt> {
        let next = AtomicUsize::new(0);
        let (failed, done) = (Mutex::new(None), Mutex::new(Vec::new()));
        let run = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = files.get(index) else { return };
                match self.check_stop().and_then(|()| work(file)) {
                    Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result)),
                    Err(halt) => {
                        self.stop.store(true, Ordering::Relaxed);
                        if let Halt::Failed(error) = halt {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..FILES_AT_ONCE.min(files.len()) {
                scope.spawn(run);
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(Halt::Failed(error));
        }
        self.check_stop()?;
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}

/// Counts failures in a row and pauses between tries.
pub(super) struct Patience<'s> {
    session: &'s Session,
    retries: u32,
    failures: u32,
    since: Instant,
    furthest: u64,
}

impl<'s> Patience<'s> {
    pub(super) fn new(session: &'s Session, retries: u32) -> Self {
        Self { session, retries, failures: 0, since: Instant::now(), furthest: 0 }
    }

    /// So many bytes are here; more than ever is worth starting to count anew.
    pub(super) fn reached(&mut self, bytes: u64) {
        if bytes > self.furthest {
            (self.furthest, self.failures) = (bytes, 0);
        }
    }

    /// Pauses before another try.
    ///
    /// # Errors
    /// The failure itself, if another try is not worth it or there were enough.
    pub(super) fn after(&mut self, failure: Failure, asked: &Asked<'_>) -> Result<(), Halt> {
        let (reason, wait, connected) = match failure {
            Failure::Fatal(error) => return Err(error.into()),
            Failure::Transient { reason, wait } => (reason, wait, true),
            Failure::Restart { reason } => (reason, None, true),
            Failure::NoConnection { reason } => (reason, None, false),
        };
        self.failures += 1;
        let has_waited = |patience: Duration| self.since.elapsed() >= patience;
        let is_offline = !connected && self.session.settings.connect_patience.is_some_and(has_waited);
        if self.failures > self.retries || is_offline {
            let (what, host) = (asked.what(), self.session.client.host().to_owned());
            let attempts = self.failures;
            return Err(Error::Unreachable { what, host, reason, attempts, connected }.into());
        }
        let doubled = FIRST_PAUSE * 2u32.pow((self.failures - 1).min(16));
        let pause = wait.unwrap_or(doubled.min(LONGEST_PAUSE));
        self.session.tell(Event::Retrying { what: asked.what(), reason, pause });
        self.session.pause(pause)
    }
}
