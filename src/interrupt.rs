//! A stop request that long stages poll, so that Ctrl-C ends a run cleanly instead of killing it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What stands for a signal's number where work took too long: [`Interrupt::set_deadline`].
pub const OUT_OF_TIME: usize = usize::MAX;

/// Returned by [`Interrupt::check`] once a stop was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by signal {signal}")]
pub struct Interrupted {
    /// The number of the signal that asked for the stop.
    pub signal: usize,
}

/// A cheap, shareable flag: zero while running, else the number of the signal that asked to stop.
///
/// The library never installs signal handlers; the binary registers the flag with them.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    /// When work has taken too long, in nanoseconds as [`nanos`] counts; 0 while it may take any time.
    deadline: Arc<AtomicU64>,
}

impl Interrupt {
    /// The shared cell, for a signal handler to store its signal's number in.
    pub fn cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// The signal that asked for a stop, if one did; [`OUT_OF_TIME`] after the deadline.
    pub fn signal(&self) -> Option<usize> {
        match self.signal.load(Ordering::Relaxed) {
            0 => self.is_late().then_some(OUT_OF_TIME),
            signal => Some(signal),
        }
    }

    /// Asks for a stop after `deadline`; `None` takes that back.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let nanos = deadline.map_or(0, |deadline| nanos(deadline).max(1));
        self.deadline.store(nanos, Ordering::Relaxed);
    }

    fn is_late(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline != 0 && nanos(Instant::now()) >= deadline
    }

    /// Fails once a stop was requested.
    ///
    /// # Errors
    /// [`Interrupted`], with the signal's number.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.signal() {
            Some(signal) => Err(Interrupted { signal }),
            None => Ok(()),
        }
    }

    /// Takes back the stop that `signal` asked for, so that work can begin again; what another one asked for stands.
    pub fn forget(&self, signal: usize) {
        // Where another one is stored, there is nothing to do.
        let _ = self.signal.compare_exchange(signal, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Where `instant` stands on a clock that began when the process first asked; 0 for what was before.
fn nanos(instant: Instant) -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let passed = instant.saturating_duration_since(*BEGAN.get_or_init(Instant::now));
    u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_asks_for_a_stop_until_it_is_taken_back() {
        let interrupt = Interrupt::default();
        let soon = Instant::now() + Duration::from_millis(20);
        interrupt.set_deadline(Some(soon));
        while Instant::now() < soon {
            std::thread::yield_now();
        }
        assert_eq!(interrupt.check(), Err(Interrupted { signal: OUT_OF_TIME }));
        interrupt.cell().store(2, Ordering::Relaxed);
        assert_eq!(interrupt.signal(), Some(2), "a signal comes first");
        interrupt.forget(2);
        interrupt.set_deadline(Some(Instant::now() + Duration::from_secs(3600)));
        assert_eq!(interrupt.signal(), None);
        interrupt.set_deadline(None);
        assert_eq!(interrupt.signal(), None);
    }

    #[test]
    fn only_the_named_signal_is_forgotten() {
        let interrupt = Interrupt::default();
        interrupt.forget(2);
        assert!(interrupt.check().is_ok());
        interrupt.cell().store(15, Ordering::Relaxed);
        interrupt.forget(2);
        assert_eq!(interrupt.signal(), Some(15));
        interrupt.forget(15);
        assert!(interrupt.check().is_ok());
    }
}
