//! What a command keeps at hand while the engine works for it: who looks on, how long stages take, tensors that are
//! dumped.

use std::time::{Duration, Instant};

use anyhow::Result;
use llava_video::engine::{PlannedClip, Timings, Watch};
use llava_video::interrupt::Interrupt;
use llava_video::trace::Trace;

use super::input::Input;
use super::observer::{Onlooker, surface};
use super::output::Printer;

/// What is at hand.
pub(crate) struct Desk<'p> {
    pub(crate) onlooker: Onlooker<'p>,
    pub(crate) timings: Timings,
    pub(crate) trace: Trace,
    /// When the work on the current answer began.
    began: Instant,
}

impl<'p> Desk<'p> {
    pub(crate) fn new(onlooker: Onlooker<'p>, trace: Trace, began: Instant) -> Self {
        Self { onlooker, timings: Timings::default(), trace, began }
    }

    pub(crate) fn printer(&mut self) -> &mut Printer {
        self.onlooker.printer
    }

    /// For the engine.
    pub(crate) fn watch(&mut self) -> Watch<'_> {
        Watch { timings: &mut self.timings, trace: &mut self.trace, observer: &mut self.onlooker }
    }

    /// Opens a clip or picture.
    pub(crate) fn open(&mut self, input: &Input, interrupt: &Interrupt) -> Result<PlannedClip> {
        let open = || PlannedClip::open(&input.request, interrupt, &mut self.onlooker);
        self.timings.probe.time(open).map_err(surface)
    }

    /// Leaves out of the time of the current answer how long something was waited for that is no work.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.began += time;
    }

    /// How long the stages of the answer that is finished took, and all of it; the next one begins.
    pub(crate) fn take_timings(&mut self) -> (Timings, Duration) {
        let total = self.began.elapsed();
        self.began = Instant::now();
        (std::mem::take(&mut self.timings), total)
    }
}
