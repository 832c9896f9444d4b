//! How a batch is stopped: Ctrl-C ends it at once, SIGTERM after the answers that have begun, or when their time of
//! grace is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use llava_video::batch::schedule::Stop;
use llava_video::interrupt::Interrupt;
use signal_hook::consts::{SIGTERM, SIGXFSZ};
use signal_hook::flag;

use crate::cli::signals::Signals;

/// How often signals are looked for while the model computes.
const POLL: Duration = Duration::from_millis(20);

/// The signals, and the work that they end.
pub(crate) struct Stopper {
    signals: Signals,
    /// Ends the engine's work.
    work: Interrupt,
    /// Whether SIGTERM leaves time.
    is_graceful: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Stopper {
    /// Installs the handlers, and a thread that ends the work by them. Before [`Self::begin_grace`] both signals end it
    /// at once.
    pub(crate) fn install(grace: Duration) -> Result<Self> {
        // A file that has reached its limit of size is to fail like a full disk, not to end the process.
        flag::register(SIGXFSZ, Arc::default()).context("cannot install signal handlers")?;
        let stopper = Self {
            signals: Signals::install()?,
            work: Interrupt::default(),
            is_graceful: Arc::default(),
            is_over: Arc::default(),
        };
        let (signals, work) = (stopper.signals.clone(), stopper.work.clone());
        let (is_graceful, is_over) = (Arc::clone(&stopper.is_graceful), Arc::clone(&stopper.is_over));
        thread::spawn(move || {
            let mut terminated: Option<Instant> = None;
            while !is_over.load(Ordering::Relaxed) {
                if let Some(signal) = signals.interrupt().signal() {
                    let since = *terminated.get_or_insert_with(Instant::now);
                    let may_go_on = signal == SIGTERM as usize && is_graceful.load(Ordering::Relaxed);
                    if !may_go_on || since.elapsed() >= grace {
                        work.cell().store(signal, Ordering::Relaxed);
                    }
                }
                thread::sleep(POLL);
            }
        });
        Ok(stopper)
    }

    /// What ends the engine's work.
    pub(crate) fn work(&self) -> &Interrupt {
        &self.work
    }

    /// From now on SIGTERM leaves time for the answers that have begun.
    pub(crate) fn begin_grace(&self) {
        self.is_graceful.store(true, Ordering::Relaxed);
    }

    /// The signal that asked for a stop, if one did.
    pub(crate) fn signal(&self) -> Option<usize> {
        self.signals.interrupt().signal()
    }

    /// What the batch is to do.
    pub(crate) fn stop(&self) -> Stop {
        match (self.signal(), self.work.cell().load(Ordering::Relaxed)) {
            (None, _) => Stop::No,
            (Some(_), 0) => Stop::WhenBegunAreDone,
            (Some(_), _) => Stop::Now,
        }
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
