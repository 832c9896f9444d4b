//! Ctrl-C and SIGTERM ask for a clean stop; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use llava_video::interrupt::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Installs the handlers and returns the flag that they set.
pub(crate) fn install() -> Result<Interrupt> {
    let interrupt = Interrupt::default();
    for signal in [SIGINT, SIGTERM] {
        let asked_before = Arc::new(AtomicBool::new(false));
        let install = || {
            // In this order, so that the first signal only sets the flags.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked_before))?;
            flag::register(signal, asked_before)?;
            flag::register_usize(signal, interrupt.cell(), signal as usize)
        };
        install().context("cannot install signal handlers")?;
    }
    Ok(interrupt)
}
