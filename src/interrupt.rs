//! A stop request that long stages poll, so that Ctrl-C ends a run cleanly instead of killing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// The shared cell, for a signal handler to store its signal's number in.
    pub fn cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// The signal that asked for a stop, if one did.
    pub fn signal(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
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
        let _ = self.0.compare_exchange(signal, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
