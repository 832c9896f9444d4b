//! A run through what is left to do: lanes answer, the ledger writes it down, people see how far it is, and a summary
//! ends it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use llava_video::batch::claim::Claims;
use llava_video::batch::inputs::Input;
use llava_video::batch::journal::{JobState, Journal, Policy, Standing, Survey};
use llava_video::batch::schedule::{self, Finished};
use llava_video::batch::{Lanes, Ledger, Record, Run, Sidecars, Summary};
use llava_video::size::counted;

use super::body::{self, Told};
use super::onlooker::Progress;
use super::stop::Stopper;
use super::works::Works;
use crate::cli::output::Printer;

/// What is to be done, and where it is written.
pub(crate) struct Course<'c> {
    pub(crate) inputs: &'c [Input],
    /// What is left, by its places among the inputs.
    pub(crate) todo: Vec<usize>,
    /// How many records that makes.
    pub(crate) records: usize,
    /// How many there are already of what is done.
    pub(crate) done: usize,
    pub(crate) journal: Journal,
    pub(crate) standing: &'c Standing,
    pub(crate) claims: Option<Claims>,
    pub(crate) sidecars: Option<Sidecars>,
    /// Whether records are written in the order of the inputs.
    pub(crate) is_ordered: bool,
    /// The file for the counts and rates.
    pub(crate) summary: Option<&'c Path>,
}

/// How it ended.
pub(crate) struct Ended {
    /// The signal that ended it before everything was done.
    pub(crate) signal: Option<usize>,
    /// Records of failures that it wrote.
    pub(crate) failed: usize,
}

impl Course<'_> {
    /// Goes through it with a model that is loaded, if anything is left. `recorder` makes of what came of an input, by
    /// its place, what is recorded of it.
    pub(crate) fn run(
        self,
        works: &Works,
        stopper: &Stopper,
        printer: &mut Printer,
        recorder: impl FnMut(usize, Finished<Told>) -> Vec<Record>,
    ) -> Result<Ended> {
        let began = Instant::now();
        let Self { inputs, todo, records, done, journal, standing, claims, sidecars, is_ordered, summary } = self;
        let is_anything_left = !todo.is_empty();
        let mut progress = Progress::new(printer, stopper, works.launcher(), records);
        let mut ledger = Ledger::open(inputs, todo, (journal, standing), claims, sidecars, recorder, &mut progress)?;
        let (mut is_complete, mut busy) = (true, Duration::ZERO);
        if is_anything_left {
            stopper.begin_grace();
            let mut lanes = Lanes::new(works.engine(), works.placing(), works.lanes(), stopper.work(), body::tell);
            let looker = works.looker(stopper.work());
            is_complete = schedule::run(inputs, &looker, &mut lanes, &mut ledger, works.pace(is_ordered))?;
            busy = lanes.busy();
        }
        ledger.close(is_complete)?;
        let tally = progress.finish();
        let failed = tally.failed();
        let counts = tally.summary(done, began.elapsed(), busy);
        printer.note(&counts.to_string());
        if let Some(path) = summary {
            write_summary(&counts, path)?;
        }
        Ok(Ended { signal: stopper.signal().filter(|_| !is_complete), failed })
    }
}

/// Takes the output of a run, which says if another process left it.
pub(crate) fn open_output(
    output: &Path,
    run: &Run,
    policy: Policy,
    printer: &mut Printer,
) -> Result<(Journal, Standing)> {
    let (journal, standing) = Journal::open(output, run, policy)?;
    if let Some(holder) = journal.taken_over_from() {
        printer.note(&format!("the output was left by process {}, which has ended", holder.pid));
    }
    Ok((journal, standing))
}

/// Whether an input is still to be answered.
pub(crate) fn is_to_do(state: JobState, retry_errors: bool) -> bool {
    match state {
        JobState::Done { .. } => false,
        JobState::Failed { retryable } => retryable || retry_errors,
        JobState::ToDo | JobState::Changed => true,
    }
}

/// What a run says first.
pub(crate) fn first_line(survey: &Survey, to_do: usize, standing: &Standing) -> String {
    let failed = survey.failed + survey.retryable;
    let mut line = format!("{} done, {failed} failed, {to_do} to do", survey.done);
    if survey.unknown > 0 {
        line += &format!("; the output has records of {} that are not among the inputs", counted(survey.unknown, "id"));
    }
    if standing.torn_bytes() > 0 {
        line += "; an unfinished record at its end is removed";
    }
    line
}

/// Writes what `--summary` names.
fn write_summary(summary: &Summary, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(summary).context("cannot write the summary as JSON")? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write the summary to `{}`", path.display()))
}
