//! `batch`: many clips, each answered exactly once, whatever happens in between.

pub(crate) mod body;
mod gathered;
mod merge;
pub(crate) mod onlooker;
pub(crate) mod refusals;
pub(crate) mod stop;
pub(crate) mod worker;
pub(crate) mod works;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use llava_video::batch::claim::{self, Claims};
use llava_video::batch::journal::{Fsync, JobState, Journal, Policy, Standing, Survey};
use llava_video::batch::sidecar::Layout;
use llava_video::batch::{Lanes, Ledger, Run, Shard, ShardChoice, Sidecars, Summary, schedule};
use llava_video::size::counted;

use super::args::{BatchArgs, BatchCommand, BatchRunArgs};
use super::exit::{Exit, UsageError};
use super::output::Printer;
use body::Common;
use gathered::Asked;
use onlooker::Progress;
use stop::Stopper;
use works::Works;

pub(crate) fn run(args: BatchArgs, printer: &mut Printer) -> Result<Exit> {
    match &args.command {
        Some(BatchCommand::Merge(args)) => merge::run(args, printer),
        None => batch(&args.run, printer),
    }
}

fn batch(args: &BatchRunArgs, printer: &mut Printer) -> Result<Exit> {
    let stopper = Stopper::install(args.grace.time())?;
    let asked = Asked::read(&args.work, stopper.work(), printer)?;
    let inputs = gathered::inputs(args, &asked, stopper.work(), printer)?;
    let shard = shard(args.sharing.shard.as_deref())?;
    let sidecars = Sidecars { layout: Layout::new(&args.sidecar, args.output_dir.clone()), overwrite: args.overwrite };
    let sidecars = (!args.sidecar.is_empty()).then_some(sidecars);
    refusals::check(args, &inputs, sidecars.as_ref())?;
    if args.check {
        return Ok(if gathered::check(&inputs, printer) { Exit::Done } else { Exit::SomeFailed });
    }
    let Some(output) = &args.output else {
        return Err(UsageError("--output names the file for the records".to_owned()).into());
    };

    // Everything that can be refused is refused before weights are loaded.
    let jobs = || inputs.iter().map(|input| &input.job);
    let mut works = Works::open(&args.work, jobs(), &stopper, printer)?;
    let run = Run { digest: works.digest()?, shard };
    let fsync = if args.fsync { Fsync::EachRecord } else { Fsync::EverySecond };
    let policy = Policy { new_digest: args.resume.new_digest, force: args.resume.force, fsync };
    let (journal, standing) = Journal::open(output, &run, policy)?;
    if let Some(holder) = journal.taken_over_from() {
        printer.note(&format!("the output was left by process {}, which has ended", holder.pid));
    }
    let ours = |place: &usize| shard.is_none_or(|shard| shard.holds(&inputs[*place].job.id));
    let places: Vec<usize> = (0..inputs.len()).filter(ours).collect();
    let survey = standing.survey(places.iter().map(|&place| &inputs[place].job))?;
    let todo: Vec<usize> = places
        .iter()
        .copied()
        .filter(|&place| is_to_do(standing.of(&inputs[place].job), args.resume.retry_errors))
        .collect();
    printer.note(&first_line(&survey, todo.len(), &standing));
    let failed_before = places.len() - survey.done - todo.len();

    let claims = match &args.sharing.claim {
        None => None,
        Some(dir) => Some(Claims::join(dir, &run.digest, output, claim::Pace::default(), args.resume.retry_errors)?),
    };
    if !todo.is_empty() {
        works.load(printer)?;
    }
    let began = Instant::now();
    let total = todo.len();
    let common = Common::new(&args.work, works.devices());
    let recorder = |place: usize, finished| {
        let job = &inputs[place].job;
        vec![common.made(job, finished).of(job)]
    };
    let mut progress = Progress::new(printer, &stopper, works.launcher(), total);
    let mut ledger = Ledger::open(&inputs, todo, (journal, &standing), claims, sidecars, recorder, &mut progress)?;
    let (is_complete, busy) = match total {
        0 => (true, std::time::Duration::ZERO),
        _ => {
            stopper.begin_grace();
            let mut lanes = Lanes::new(works.engine(), works.placing(), works.lanes(), stopper.work(), body::tell);
            let outcome = schedule::run(
                &inputs,
                &works.looker(stopper.work()),
                &mut lanes,
                &mut ledger,
                works.pace(args.ordered),
            );
            (outcome?, lanes.busy())
        }
    };
    ledger.close(is_complete)?;
    let tally = progress.finish();
    let failed = tally.failed() + failed_before;
    let summary = tally.summary(survey.done, began.elapsed(), busy);
    printer.note(&summary.to_string());
    if let Some(path) = &args.summary {
        write_summary(&summary, path)?;
    }
    match stopper.signal().filter(|_| !is_complete) {
        Some(signal) => Ok(Exit::Interrupted(signal)),
        None if args.resume.max_errors.forgives(failed, places.len()) => Ok(Exit::Done),
        None => Ok(Exit::SomeFailed),
    }
}

/// Writes what `--summary` names.
pub(crate) fn write_summary(summary: &Summary, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(summary).context("cannot write the summary as JSON")? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write the summary to `{}`", path.display()))
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

/// The share that `--shard` means.
pub(crate) fn shard(text: Option<&str>) -> Result<Option<Shard>> {
    let Some(text) = text else { return Ok(None) };
    let choice: ShardChoice = text.parse().map_err(|error| UsageError(format!("--shard {text}: {error}")))?;
    let shard = choice.shard(|name| std::env::var(name).ok()).map_err(|error| UsageError(error.to_string()))?;
    Ok(Some(shard))
}
