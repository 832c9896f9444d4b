//! Ctrl-C and SIGTERM ask for a clean stop; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use llava_video::interrupt::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Installs the handlers and returns the flag that they set.
pub(crate) fn install() -> Result<Interrupt> {
    Ok(Signals::install()?.interrupt)
}

/// The flags that the handlers set.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    interrupt: Interrupt,
    /// Whether Ctrl-C, or SIGTERM, came before: then the next one ends the process.
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers.
    pub(crate) fn install() -> Result<Self> {
        let signals = Self { interrupt: Interrupt::default(), interrupted: Arc::default(), terminated: Arc::default() };
        for (signal, came_before) in [(SIGINT, &signals.interrupted), (SIGTERM, &signals.terminated)] {
            let install = || {
                // In this order, so that the first signal only sets the flags.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(came_before))?;
                flag::register(signal, Arc::clone(came_before))?;
                flag::register_usize(signal, signals.interrupt.cell(), signal as usize)
            };
            install().context("cannot install signal handlers")?;
        }
        Ok(signals)
    }

    /// The flag by which work is stopped.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Begins work that a Ctrl-C of its own may stop: one that came before is forgotten, a SIGTERM is not.
    pub(crate) fn begin_work(&self) {
        self.interrupted.store(false, Ordering::SeqCst);
        self.interrupt.forget(SIGINT as usize);
        // A Ctrl-C after it has taken its place in the flag.
        if let Some(signal) = self.termination() {
            self.interrupt.cell().store(signal, Ordering::Relaxed);
        }
    }

    /// SIGTERM's number, if it came.
    pub(crate) fn termination(&self) -> Option<usize> {
        self.terminated.load(Ordering::SeqCst).then_some(SIGTERM as usize)
    }
}
