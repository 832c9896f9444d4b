//! Runs work as often as asked, takes the time, and tells of both.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::DType;

use super::ceilings::Ceilings;
use super::machine::peak_rss_bytes;
use super::row::{Row, Work};
use super::stage::Stage;
use crate::engine::Error;
use crate::interrupt::Interrupt;

/// What an onlooker is told.
#[derive(Debug)]
pub enum Event<'e> {
    /// A stage is at work.
    Running {
        /// Which one.
        stage: Stage,
        /// How many of its runs are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// Something that the user should know and that stops nothing.
    Warning(&'e str),
    /// Work that was measured.
    Measured(Row),
}

/// Told what happens; breaking ends the work with [`Error::Abandoned`].
pub type Onlooker<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'o;

/// Times runs.
pub(super) struct Meter<'a, 'o> {
    pub(super) repeat: usize,
    pub(super) ceilings: Ceilings,
    pub(super) interrupt: &'a Interrupt,
    pub(super) onlooker: &'a mut Onlooker<'o>,
}

impl Meter<'_, '_> {
    /// Times `run` as often as asked, and returns what the last run made. What a run made is gone before the next one
    /// starts, and letting it go is not timed.
    pub(super) fn time<T>(
        &mut self,
        stage: Stage,
        mut run: impl FnMut() -> Result<T, Error>,
    ) -> Result<(Vec<f64>, T), Error> {
        let mut seconds = Vec::with_capacity(self.repeat);
        loop {
            self.interrupt.check()?;
            self.tell(Event::Running { stage, done: seconds.len(), total: self.repeat })?;
            let started = Instant::now();
            let made = run()?;
            seconds.push(started.elapsed().as_secs_f64());
            if seconds.len() >= self.repeat {
                return Ok((seconds, made));
            }
        }
    }

    /// Tells what `seconds` of `work` in the arithmetic of `dtype` come to.
    pub(super) fn report(&mut self, work: Work, seconds: Vec<f64>, dtype: DType) -> Result<(), Error> {
        self.report_against(work, seconds, self.ceilings.flops_per_sec(dtype))
    }

    /// The same, of operations of which the machine is capable of so many a second.
    pub(super) fn report_against(
        &mut self,
        work: Work,
        seconds: Vec<f64>,
        peak_flops_per_sec: Option<f64>,
    ) -> Result<(), Error> {
        let (peak_read_bytes_per_sec, peak_rss_bytes) = (self.ceilings.read_bytes_per_sec, peak_rss_bytes());
        let row = Row { work, seconds, peak_flops_per_sec, peak_read_bytes_per_sec, peak_rss_bytes };
        self.tell(Event::Measured(row))
    }

    pub(super) fn tell(&mut self, event: Event<'_>) -> Result<(), Error> {
        match (self.onlooker)(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Abandoned),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn timed(interrupt: &Interrupt, onlooker: &mut Onlooker<'_>) -> (usize, Result<usize, Error>) {
        let mut runs = 0;
        let mut meter = Meter { repeat: 3, ceilings: Ceilings::default(), interrupt, onlooker };
        let timed = meter.time(Stage::Tower, || {
            runs += 1;
            Ok(())
        });
        let seconds = timed.map(|(seconds, ())| seconds.len());
        (runs, seconds)
    }

    #[test]
    fn every_run_is_timed_and_told() {
        let mut told = Vec::new();
        let mut onlooker = |event: Event<'_>| {
            if let Event::Running { stage: Stage::Tower, done, total: 3 } = event {
                told.push(done);
            }
            ControlFlow::Continue(())
        };
        let (runs, seconds) = timed(&Interrupt::default(), &mut onlooker);
        assert_eq!((runs, seconds.expect("no error"), told), (3, 3, vec![0, 1, 2]));
    }

    #[test]
    fn a_signal_and_an_onlooker_who_leaves_end_it() {
        let interrupt = Interrupt::default();
        let (runs, ended) = timed(&interrupt, &mut |_| ControlFlow::Break(()));
        assert!(runs == 0 && matches!(ended, Err(Error::Abandoned)), "{ended:?}");
        interrupt.cell().store(2, Ordering::Relaxed);
        let (runs, ended) = timed(&interrupt, &mut |_| ControlFlow::Continue(()));
        assert!(runs == 0 && matches!(ended, Err(Error::Stage(crate::Error::Interrupted(_)))), "{ended:?}");
    }
}
