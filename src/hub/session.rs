//! One pull as its threads share it: settings, counters, the way to say something, and when to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::cache::RepoCache;
use super::client::{Asked, Client, Failure};
use super::pull::{Event, Pulled};
use super::{Error, RepoName, Settings};

/// The first pause before another try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a pause looks whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// Why a pull does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    Failed(Error),
    /// Somebody asked for it, or another thread failed.
    Stopped,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the threads of a pull tell the one that waits for them.
pub(super) enum Message {
    Event(Event),
    /// The end, or the panic that was it.
    Finished(std::thread::Result<Result<Pulled, Halt>>),
}

pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) repo: RepoName,
    pub(super) cache: RepoCache,
    pub(super) client: Client,
    pub(super) messages: Sender<Message>,
    pub(super) stop: AtomicBool,
    /// Bytes received by now, and those that will have been received in the end.
    pub(super) done: AtomicU64,
    pub(super) total: AtomicU64,
}

impl Session {
    pub(super) fn tell(&self, event: Event) {
        // Nobody listens any more after a stop.
        let _ = self.messages.send(Message::Event(event));
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
}

/// Counts failures in a row and pauses between tries.
pub(super) struct Patience<'s> {
    session: &'s Session,
    retries: u32,
    failures: u32,
}

impl<'s> Patience<'s> {
    pub(super) fn new(session: &'s Session, retries: u32) -> Self {
        Self { session, retries, failures: 0 }
    }

    /// Something arrived since the last failure.
    pub(super) fn renew(&mut self) {
        self.failures = 0;
    }

    /// Pauses before another try.
    ///
    /// # Errors
    /// The failure itself, if another try is not worth it or there were enough.
    pub(super) fn after(&mut self, failure: Failure, asked: &Asked<'_>) -> Result<(), Halt> {
        let (reason, wait) = match failure {
            Failure::Fatal(error) => return Err(error.into()),
            Failure::Transient { reason, wait } => (reason, wait),
            Failure::Restart { reason } => (reason, None),
        };
        self.failures += 1;
        if self.failures > self.retries {
            let host = self.session.client.host().to_owned();
            return Err(Error::Unreachable { what: asked.what(), host, reason, attempts: self.failures }.into());
        }
        let doubled = FIRST_PAUSE * 2u32.pow((self.failures - 1).min(16));
        let pause = wait.unwrap_or(doubled.min(LONGEST_PAUSE));
        self.session.tell(Event::Retrying { what: asked.what(), reason, pause });
        self.session.pause(pause)
    }
}
