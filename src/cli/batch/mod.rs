//! `batch`: many clips, each answered exactly once, whatever happens in between.

pub(crate) mod body;
pub(crate) mod course;
mod gathered;
mod merge;
mod onlooker;
pub(crate) mod refusals;
pub(crate) mod stop;
pub(crate) mod worker;
pub(crate) mod works;

use anyhow::Result;
use llava_video::batch::claim::{self, Claims};
use llava_video::batch::journal::{Fsync, Policy};
use llava_video::batch::sidecar::Layout;
use llava_video::batch::{Run, Shard, ShardChoice, Sidecars};

use super::args::{BatchArgs, BatchCommand, BatchRunArgs};
use super::exit::{Exit, UsageError};
use super::output::Printer;
use body::Common;
use course::{Course, first_line, is_to_do, open_output};
use gathered::Asked;
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
    let (journal, standing) = open_output(output, &run, policy, printer)?;
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
    let common = Common::new(&args.work, works.devices());
    let recorder = |place: usize, finished| {
        let job = &inputs[place].job;
        vec![common.made(job, finished).of(job)]
    };
    let course = Course {
        inputs: &inputs,
        records: todo.len(),
        todo,
        done: survey.done,
        journal,
        standing: &standing,
        claims,
        sidecars,
        is_ordered: args.ordered,
        summary: args.summary.as_deref(),
    };
    let ended = course.run(&works, &stopper, printer, recorder)?;
    let failed = ended.failed + failed_before;
    match ended.signal {
        Some(signal) => Ok(Exit::Interrupted(signal)),
        None if args.resume.max_errors.forgives(failed, places.len()) => Ok(Exit::Done),
        None => Ok(Exit::SomeFailed),
    }
}

/// The share that `--shard` means.
pub(crate) fn shard(text: Option<&str>) -> Result<Option<Shard>> {
    let Some(text) = text else { return Ok(None) };
    let choice: ShardChoice = text.parse().map_err(|error| UsageError(format!("--shard {text}: {error}")))?;
    let shard = choice.shard(|name| std::env::var(name).ok()).map_err(|error| UsageError(error.to_string()))?;
    Ok(Some(shard))
}
