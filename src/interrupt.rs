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
}
