//! This process's heartbeat: a thread that rewrites a file with a counter, so that others see that it lives.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::ClaimError;
use super::{Pace, watch};

/// A heartbeat that goes on until it is stopped.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    /// Its end is the thread's.
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    path: PathBuf,
    pace: Pace,
    begun: Instant,
    beats: Mutex<Beats>,
}

/// Times are since the beginning.
struct Beats {
    count: u64,
    /// When the last one was written.
    last: Duration,
    /// Since when they came without a gap.
    awake: Duration,
    /// Why the last attempt failed.
    failed: Option<io::Error>,
}

impl Pulse {
    /// Writes the first heartbeat and starts the thread.
    pub(super) fn begin(path: PathBuf, pace: Pace) -> io::Result<Self> {
        let beats = Beats { count: 0, last: Duration::ZERO, awake: Duration::ZERO, failed: None };
        let shared = Arc::new(Shared { path, pace, begun: Instant::now(), beats: Mutex::new(beats) });
        shared.write("beat", 0)?;
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("heartbeat".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                while stopped.recv_timeout(shared.pace.heartbeat) == Err(RecvTimeoutError::Timeout) {
                    shared.beat();
                }
            }
        })?;
        Ok(Self { shared, running: Some((stop, thread)) })
    }

    /// This process's clock.
    pub(super) fn now(&self) -> Duration {
        self.shared.begun.elapsed()
    }

    /// Since when this process has run without a gap; `None` where its own heartbeat is late, so that it cannot judge
    /// others: it was stopped, or nobody can write to the folder.
    pub(super) fn awake(&self) -> Option<Duration> {
        let beats = self.shared.beats();
        (!self.shared.is_gap(beats.last, self.now())).then_some(beats.awake)
    }

    /// Fails where the heartbeat could not be written for so long that others take this process for dead.
    pub(super) fn check(&self) -> Result<(), ClaimError> {
        let mut beats = self.shared.beats();
        let since = self.now().saturating_sub(beats.last);
        match beats.failed.take_if(|_| since >= self.shared.pace.stale) {
            None => Ok(()),
            Some(source) => {
                Err(ClaimError::Heartbeat { path: self.shared.path.clone(), secs: since.as_secs_f64(), source })
            }
        }
    }

    /// Stops it and says that this process left.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        let Some((stop, thread)) = self.running.take() else { return Ok(()) };
        drop(stop);
        let _ = thread.join();
        let count = self.shared.beats().count + 1;
        self.shared.write(watch::LEFT, count)
    }

    /// Ends the thread and says nothing, as a kill does.
    #[cfg(test)]
    pub(super) fn die(&mut self) {
        self.running.take();
    }
}

impl Shared {
    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self) {
        let count = self.beats().count + 1;
        let written = self.write("beat", count);
        let now = self.begun.elapsed();
        let mut beats = self.beats();
        match written {
            Err(error) => beats.failed = Some(error),
            Ok(()) => {
                let awake = if self.is_gap(beats.last, now) { now } else { beats.awake };
                *beats = Beats { count, last: now, awake, failed: None };
            }
        }
    }

    /// Half of what makes others think that this process is dead.
    fn is_gap(&self, last: Duration, now: Duration) -> bool {
        now.saturating_sub(last) > self.pace.stale / 2
    }

    /// In place and always as long, so that no reader finds the file empty; closing it is what makes NFS send it.
    fn write(&self, word: &str, count: u64) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
        file.write_all(format!("{word} {count:016}\n").as_bytes())
    }
}

/// What a heartbeat's file says; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { heartbeat: Duration::from_millis(5), stale: Duration::from_secs(10) };

    #[test]
    fn it_beats_until_it_leaves() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a");
        let mut pulse = Pulse::begin(path.clone(), PACE).expect("it begins");
        let first = read(&path).expect("readable").expect("it is there");
        while read(&path).expect("readable").expect("it is there") <= first {
            std::thread::sleep(PACE.heartbeat);
        }
        assert!(pulse.awake().is_some() && pulse.check().is_ok());
        pulse.leave().expect("it leaves");
        let last = read(&path).expect("readable").expect("it is there");
        assert!(last.starts_with(watch::LEFT) && last.len() == first.len(), "{last}");
        std::thread::sleep(4 * PACE.heartbeat);
        assert_eq!(read(&path).expect("readable"), Some(last));
    }

    #[test]
    fn a_heartbeat_that_cannot_be_written_is_said_once_it_matters() {
        let dir = tempfile::tempdir().expect("a folder");
        let inside = dir.path().join("inside");
        std::fs::create_dir(&inside).expect("a folder");
        let pace = Pace { stale: Duration::from_millis(100), ..PACE };
        let pulse = Pulse::begin(inside.join("a"), pace).expect("it begins");
        std::fs::remove_dir_all(&inside).expect("it is ours");
        let begun = Instant::now();
        while pulse.check().is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(60), "never said");
            std::thread::sleep(pace.heartbeat);
        }
        assert!(pulse.awake().is_none(), "it cannot judge others");
    }
}
