//! What a batch shows while it runs: how many clips are done, how fast, how long the rest takes, and what failed.

use llava_video::batch::schedule::Stop;
use llava_video::batch::{Onlooker, Record, Tally};
use llava_video::video::isolated::Launcher;

use super::stop::Stopper;
use crate::cli::output::Printer;

/// Shows and counts.
pub(crate) struct Progress<'p> {
    printer: &'p mut Printer,
    stopper: &'p Stopper,
    launcher: &'p Launcher,
    total: usize,
    tally: Tally,
}

impl<'p> Progress<'p> {
    /// Nothing is done yet of `total`.
    pub(crate) fn new(printer: &'p mut Printer, stopper: &'p Stopper, launcher: &'p Launcher, total: usize) -> Self {
        printer.clips_progress(0, total, 0);
        Self { printer, stopper, launcher, total, tally: Tally::default() }
    }

    /// Tells what went wrong with processes that decode, by the fault of no clip.
    fn tell_warnings(&mut self) {
        self.launcher.take_warnings().iter().for_each(|warning| self.printer.warning(warning));
    }

    /// The counts.
    pub(crate) fn finish(mut self) -> Tally {
        self.tell_warnings();
        self.printer.end_progress();
        self.tally
    }
}

impl Onlooker for Progress<'_> {
    fn recorded(&mut self, record: &Record) {
        self.tally.add(record);
        if let Some(failure) = &record.failure {
            // Most messages begin with the clip's path, which mostly is the id.
            let message = failure.message.strip_prefix(&format!("{}: ", record.id)).unwrap_or(&failure.message);
            self.printer.failed_item(&record.id, message);
        }
        self.printer.clips_progress(self.tally.total(), self.total, self.tally.failed());
    }

    fn stop(&mut self) -> Stop {
        self.tell_warnings();
        self.stopper.stop()
    }
}
