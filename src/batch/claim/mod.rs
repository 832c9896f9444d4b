//! Inputs divided among processes that join and leave at will, on many hosts, by nothing but a folder that they
//! share.
//!
//! # How
//! Each input is an item with a history of numbered steps, each a name in the folder: `<hash>.1`, `<hash>.2` and so
//! on. A step is made by a hard link to a file that says whose it is, and a name is given to one only: so the next
//! step is a vote that one process wins, and nothing of anybody is ever removed or renamed. The steps are *works* (a
//! lease) and *writes* (its holder is about to append the record). A holder takes the step *writes* before it
//! appends; who finds the holder of the last step dead takes that same next step as his own lease. One of them gets
//! it, so that a process which was stopped, found dead and continued learns that its answer is no longer wanted. How
//! a step ended is marked beside it: `<hash>.<step>.ok`, `.truncated`, `.skipped`, `.error`, `.retryable`, or
//! `.released`.
//!
//! A process lives as long as its heartbeat's file changes. Observers read what it holds and measure by their own
//! monotonic clocks how long that stayed the same: clocks of hosts are not compared. An observer whose own heartbeat
//! was late does not count the time before, as what stopped it may have stopped the others too: a server that was
//! away, a host that was suspended. On the same host a process that has ended is known to have at once.
//!
//! Where a dead process was about to write a record, its output says whether it did: a complete record there counts.
//!
//! # What remains
//! An item is answered twice where a process is stopped for longer than it takes to be found stale *between* the step
//! *writes* and its append, two calls apart, and is continued later; where a record reached only its host's memory
//! and others cannot read it yet when they look; or where they cannot read the output at all, so that outputs belong
//! where all hosts see them, under one path. `merge` finds such doubles. An item is never lost: it counts as done
//! only after its record was flushed.
//!
//! # File systems
//! Relied upon: that `link` fails where the name exists, atomically for all hosts, which POSIX demands and local
//! disks and the NFS protocol (LINK, RFC 1813 and RFC 8881) keep; and that who opens a file after another closed it
//! reads what was written (close-to-open consistency, nfs(5)). Not relied upon: `rename`, `O_EXCL`, `flock`,
//! modification times, inode numbers, link counts, and the outcome that `link` reports: over NFS a reply can be lost
//! after the link was made (link(2), under BUGS), and FreeBSD's client turns `EEXIST` into success for that reason.
//! So what stands at the name is read after each attempt and alone decides.
//!
//! Listings and names that were not found may be cached by NFS for up to a minute (`acdirmax`, nfs(5)). That delays
//! the news that an item is done or free and can do no harm: steps are always made at the server. Heartbeats are
//! opened anew at each look, which asks the server also within that time; a file system without even that is why
//! staleness should not be less than a minute where hosts differ. Without hard links (FAT, most object stores mounted
//! as folders) or with such as stay within one folder (AFS, some versions of BeeGFS), joining fails and says so.
//!
//! A step takes no file of its own, as it leads to one of two that each process has: quotas of files are safe, and a
//! million items are two to three million names in 256 subfolders.

mod book;
mod error;
mod folder;
mod holder;
mod index;
mod name;
mod outputs;
mod process;
mod pulse;
mod queue;
mod watch;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use book::Book;
pub use error::ClaimError;
pub use name::End;
use name::Key;
use pulse::Pulse;
pub use queue::{Next, Queue};

/// How fast processes of one folder notice each other's death; they need not agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between heartbeats of this process.
    pub heartbeat: Duration,
    /// How long a heartbeat of another stays the same until it counts as dead; more than this takes others' heartbeats.
    pub stale: Duration,
}

impl Default for Pace {
    /// Every 5 seconds, and dead after 60.
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(5), stale: Duration::from_secs(60) }
    }
}

impl Pace {
    fn check(self) -> Result<(), ClaimError> {
        match self.heartbeat >= Duration::from_millis(1) && self.heartbeat.saturating_mul(4) <= self.stale {
            true => Ok(()),
            false => Err(ClaimError::Pace {
                heartbeat_secs: self.heartbeat.as_secs_f64(),
                stale_secs: self.stale.as_secs_f64(),
            }),
        }
    }
}

/// A process's part in a folder. Dropping it leaves, as [`Claims::leave`] does.
pub struct Claims {
    book: Mutex<Book>,
    pulse: Mutex<Pulse>,
    pace: Pace,
}

/// An item to work on. It is to be handed back: to [`Claims::may_write`], or to [`Claims::release`].
#[must_use]
#[derive(Debug)]
pub struct Lease {
    key: Key,
    step: u32,
}

/// An item whose record may be appended, now. It is to be handed back: to [`Claims::finish`], or to
/// [`Claims::withdraw`].
#[must_use]
#[derive(Debug)]
pub struct Permit {
    key: Key,
    step: u32,
}

/// What came of asking for an item.
#[derive(Debug)]
pub enum Taken {
    /// It is ours.
    Mine(Lease),
    /// Somebody works on it, another thread of this process included.
    Held,
    /// It is in somebody's output.
    Done(End),
}

impl Claims {
    /// Joins the processes that share a folder, which is made where it is not there, and begins the heartbeat.
    ///
    /// `digest` is the run's. `output` is where this process's records go; no other may write there at the same time.
    /// Items that ended with a retryable error before this are taken again, and with `retry_errors` all that ended with
    /// an error.
    ///
    /// # Errors
    /// A folder of another run, or of other things; a file system without hard links; a pace of less than four
    /// heartbeats; files that cannot be written.
    pub fn join(dir: &Path, digest: &str, output: &Path, pace: Pace, retry_errors: bool) -> Result<Self, ClaimError> {
        Self::join_as(dir, digest, output, pace, retry_errors, process::Process::this())
    }

    /// Where no process is told, this one is known by its heartbeat alone.
    fn join_as(
        dir: &Path,
        digest: &str,
        output: &Path,
        pace: Pace,
        retry_errors: bool,
        process: Option<process::Process>,
    ) -> Result<Self, ClaimError> {
        pace.check()?;
        let dir = std::path::absolute(dir).map_err(error::at(dir))?;
        let output = std::path::absolute(output).map_err(error::at(output))?;
        let worker = holder::worker();
        folder::open(&dir, digest, &worker)?;
        let beat = folder::workers(&dir).join(&worker);
        let pulse = Pulse::begin(beat.clone(), pace).map_err(error::at(&beat))?;
        let book =
            Book::new(&dir, digest, holder::Holder { worker, process, output, writes: false }, pace, retry_errors)?;
        Ok(Self { book: Mutex::new(book), pulse: Mutex::new(pulse), pace })
    }

    /// Asks for the input of this id and [`digest`](super::Job::digest).
    ///
    /// # Errors
    /// Files that cannot be read or written; a heartbeat that could not be written for so long that others take this
    /// process for dead.
    pub fn take(&self, id: &str, job: &str) -> Result<Taken, ClaimError> {
        self.take_key(Key::of(id, job))
    }

    fn take_key(&self, key: Key) -> Result<Taken, ClaimError> {
        let (now, awake) = self.clock()?;
        self.book().take(key, now, awake)
    }

    /// Asks right before a record is appended whether the item is still ours; `None` where it is not, as this process
    /// was stopped or cut off for so long that another took it over: its answers are then to be thrown away.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn may_write(&self, lease: Lease) -> Result<Option<Permit>, ClaimError> {
        self.book().may_write(lease)
    }

    /// Marks an item done. Its record must have been flushed, so that others can read it.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn finish(&self, permit: Permit, end: End) -> Result<(), ClaimError> {
        self.book().finish(permit, end)
    }

    /// Gives an item back that was not answered: others need not wait.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn release(&self, lease: Lease) -> Result<(), ClaimError> {
        self.book().release(lease.key, lease.step)
    }

    /// Gives an item back whose record was not appended after all.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn withdraw(&self, permit: Permit) -> Result<(), ClaimError> {
        self.book().release(permit.key, permit.step)
    }

    /// Tells the others of an input that this process's output holds the record of and that is not to be run again,
    /// from an earlier run that was killed before it could, or that had no claims. Before anything is taken.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn tell(&self, id: &str, job: &str, end: End) -> Result<(), ClaimError> {
        let (now, awake) = self.clock()?;
        self.book().tell(Key::of(id, job), end, now, awake)
    }

    /// Leaves: gives back all that is not finished, so that others need not wait.
    ///
    /// # Errors
    /// Files that cannot be written; others then wait until the heartbeat is stale.
    pub fn leave(self) -> Result<(), ClaimError> {
        self.end()
    }

    fn end(&self) -> Result<(), ClaimError> {
        let released = self.book().leave();
        let path = self.book().beat();
        self.pulse().leave().map_err(error::at(&path))?;
        released
    }

    /// As a kill leaves it: nothing is given back, and no heartbeat follows.
    #[cfg(test)]
    fn die(self) {
        self.book().forget();
        self.pulse().die();
        std::mem::forget(self);
    }

    /// The time, and since when this process can judge others by it.
    fn clock(&self) -> Result<(Duration, Option<Duration>), ClaimError> {
        let pulse = self.pulse();
        pulse.check()?;
        Ok((pulse.now(), pulse.awake()))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Where it fails, others find the heartbeat stale.
        let _ = self.end();
    }
}

#[cfg(all(test, unix))]
mod process_tests;
#[cfg(test)]
mod tests;
