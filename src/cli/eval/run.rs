//! A run of `eval`: rows are asked as a batch that can go on where it stopped, and scored from the records that it
//! leaves.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use llava_video::batch::claim::{self, Claims, End};
use llava_video::batch::inputs::{Input, Origin};
use llava_video::batch::journal::{Fsync, JobState, Policy, Standing, same_file};
use llava_video::batch::{Job, Run, Shard};
use llava_video::eval::data::Data;
use llava_video::eval::results::{self, ResultRecord};
use llava_video::eval::run::{Answered, Asked, Plan, PlanError, Ran, Sitting, SourceError, plan};
use llava_video::eval::score::{Absence, Absent, submission};
use llava_video::size::counted;

use super::figures::{Figures, Place};
use super::records::Recorder;
use crate::cli::args::EvalRunArgs;
use crate::cli::batch::body::Common;
use crate::cli::batch::course::{Course, first_line, is_to_do, open_output};
use crate::cli::batch::refusals::is_one_place;
use crate::cli::batch::shard;
use crate::cli::batch::stop::Stopper;
use crate::cli::batch::works::Works;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::Printer;

/// What is to be done of a run, once its output has been looked at.
struct Todo {
    /// The clips, with the rows that are left.
    sittings: Vec<Sitting>,
    /// How many rows these are.
    rows: usize,
}

pub(crate) fn run(args: &EvalRunArgs, printer: &mut Printer) -> Result<Exit> {
    let stopper = Stopper::install(args.grace.time())?;
    let (source, manner) = (args.source(), args.manner());
    refuse(args)?;
    let data = source.read(&args.data, args.part.as_deref()).map_err(refused)?;
    let plan = plan(source, manner, &data, args.videos()).map_err(|error| unasked(error, args))?;
    let shard = shard(args.sharing.shard.as_deref())?;
    tell_missing(&plan, &data, printer);

    // Everything that can be refused is refused before weights are loaded.
    let work = args.work();
    let mut works = Works::open(&work, plan.asked.iter().map(|asked| &asked.job), &stopper, printer)?;
    let run = Run { digest: manner.digest(source, &works.digest()?), shard };
    let policy = Policy { new_digest: args.resume.new_digest, force: args.resume.force, fsync: Fsync::EverySecond };
    let (journal, standing) = open_output(&args.output, &run, policy, printer)?;
    let ours: Vec<&Sitting> = plan.sittings.iter().filter(|sitting| is_ours(shard, sitting)).collect();
    let places: Vec<usize> = ours.iter().flat_map(|sitting| sitting.rows.iter().copied()).collect();
    let survey = standing.survey(places.iter().map(|&place| &plan.asked[place].job))?;
    let todo = todo(args, &plan, &ours, &standing);
    printer.note(&first_line(&survey, todo.rows, &standing));
    let failed_before = places.len() - survey.done - todo.rows;
    let claims = claims(args, &run, &plan, &ours, &standing)?;
    if !todo.sittings.is_empty() {
        works.load(printer)?;
    }

    let common = Common::new(&work, works.devices());
    let mut parts: Vec<String> = plan.asked.iter().filter_map(|asked| asked.row.part.clone()).collect();
    parts.dedup();
    let ran = Ran { checkpoint: works.engine().checkpoint(), run: &common.run(), parts: &parts };
    let answered = Answered { source, manner, settings: manner.named(source, ran) };
    let recorder = Recorder { plan: &plan, sittings: &todo.sittings, answered: &answered, run: common.run() };
    let inputs: Vec<Input> = todo.sittings.iter().map(|sitting| input(&sitting.job)).collect();
    let course = Course {
        inputs: &inputs,
        todo: (0..inputs.len()).collect(),
        records: todo.rows,
        done: survey.done,
        journal,
        standing: &standing,
        claims,
        sidecars: None,
        is_ordered: false,
        summary: args.summary.as_deref(),
    };
    let ended = course.run(&works, &stopper, printer, |place, finished| recorder.records(place, finished))?;
    if let Some(signal) = ended.signal {
        return Ok(Exit::Interrupted(signal));
    }
    figures(args, &run, (&plan, &places), &data, printer)?;
    let has_parts = data.missing_parts.is_empty() || args.partial;
    let is_forgiven = args.resume.max_errors.forgives(ended.failed + failed_before, places.len());
    Ok(if has_parts && is_forgiven { Exit::Done } else { Exit::SomeFailed })
}

fn refuse(args: &EvalRunArgs) -> Result<()> {
    if args.output.as_os_str() == "-" {
        return Err(UsageError("--output names a file, which a later run goes on with".to_owned()).into());
    }
    let mut written = vec![("output", &args.output)];
    written.extend(args.summary.iter().map(|summary| ("summary", summary)));
    if let Some((what, path)) = written.iter().find(|(_, path)| same_file(path, &args.data)) {
        return Err(UsageError(format!("the {what} `{}` is the data", path.display())).into());
    }
    if let [(_, output), (_, summary)] = written[..]
        && is_one_place(output, summary)
    {
        return Err(UsageError(format!("`{}` cannot be both output and summary", output.display())).into());
    }
    if args.benchmark.is_none() && args.part.is_some() {
        return Err(UsageError("--part is of a benchmark, and none is named".to_owned()).into());
    }
    Ok(())
}

/// A split or part that there is not is a mistake of the command line.
fn refused(error: SourceError) -> anyhow::Error {
    use llava_video::eval::data::DataError;
    match error {
        SourceError::Data(
            error @ (DataError::NoSplit { .. } | DataError::NoPart { .. } | DataError::SeveralParts { .. }),
        ) => UsageError(error.to_string()).into(),
        error => error.into(),
    }
}

fn unasked(error: PlanError, args: &EvalRunArgs) -> anyhow::Error {
    match error {
        PlanError::NoOptions { .. } => UsageError(format!("--scoring logprob: {error}")).into(),
        error => anyhow::Error::new(error).context(format!("`{}` cannot be asked", args.data.display())),
    }
}

fn tell_missing(plan: &Plan, data: &Data, printer: &mut Printer) {
    if !data.missing_parts.is_empty() {
        printer.warning(&format!("the data has no files of these parts: {}", data.missing_parts.join(", ")));
    }
    let missing = plan.sittings.iter().filter(|sitting| sitting.tried.is_some());
    let (clips, rows) = missing.fold((0, 0), |(clips, rows), sitting| (clips + 1, rows + sitting.rows.len()));
    if clips > 0 {
        let (clips, rows) = (counted(clips, "video"), counted(rows, "row"));
        printer.warning(&format!("{clips} of {rows} are not there; their records say where they were looked for"));
    }
}

fn is_ours(shard: Option<Shard>, sitting: &Sitting) -> bool {
    shard.is_none_or(|shard| shard.holds(&sitting.job.id))
}

/// What is left of each clip. Processes that share a folder tell clips from each other, so there a clip is asked about
/// as a whole.
fn todo(args: &EvalRunArgs, plan: &Plan, ours: &[&Sitting], standing: &Standing) -> Todo {
    let is_left = |asked: &Asked| is_to_do(standing.of(&asked.job), args.resume.retry_errors);
    let is_shared = args.sharing.claim.is_some();
    let left = ours.iter().filter_map(|sitting| {
        let rest = sitting.about(plan, is_left);
        (!rest.rows.is_empty()).then(|| if is_shared { (*sitting).clone() } else { rest })
    });
    let sittings: Vec<Sitting> = left.collect();
    let rows = sittings.iter().map(|sitting| sitting.rows.len()).sum();
    Todo { sittings, rows }
}

/// The folder that processes share, told what this one's output holds.
fn claims(
    args: &EvalRunArgs,
    run: &Run,
    plan: &Plan,
    ours: &[&Sitting],
    standing: &Standing,
) -> Result<Option<Claims>> {
    let Some(dir) = &args.sharing.claim else { return Ok(None) };
    let claims = Claims::join(dir, &run.digest, &args.output, claim::Pace::default(), args.resume.retry_errors)?;
    for sitting in ours {
        let done = sitting.rows.iter().map(|&place| match standing.of(&plan.asked[place].job) {
            JobState::Done { status } => Some(status),
            _ => None,
        });
        if let Some(&[status, ..]) = done.collect::<Option<Vec<_>>>().as_deref() {
            claims.tell(&sitting.job.id, &sitting.job.digest(), End { status, retryable: false })?;
        }
    }
    Ok(Some(claims))
}

fn input(job: &Job) -> Input {
    Input { job: job.clone(), origin: Origin::Line { number: 1 } }
}

/// Scores what the output holds of this run, and prints it.
fn figures(
    args: &EvalRunArgs,
    run: &Run,
    (plan, places): (&Plan, &[usize]),
    data: &Data,
    printer: &mut Printer,
) -> Result<()> {
    let read = match results::read(&args.output, Some(&run.digest)) {
        Ok(read) => read.records,
        // Nothing was left for this process.
        Err(results::ResultsError::Empty { .. }) => Vec::new(),
        Err(results::ResultsError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut by_id: HashMap<String, ResultRecord> = read.into_iter().map(|record| (record.id.clone(), record)).collect();
    let mut records = Vec::with_capacity(places.len());
    let mut absent = Vec::new();
    let mut places = places.to_vec();
    places.sort_unstable();
    for asked in places.iter().map(|&place| &plan.asked[place]) {
        match by_id.remove(&asked.job.id) {
            Some(record) => records.push(record),
            // Another process has answered it.
            None if args.sharing.claim.is_some() => {}
            None => absent.push(Absent {
                row: asked.row.row,
                part: asked.row.part.clone(),
                why: Absence::NoOutput,
                name: asked.video.clone(),
            }),
        }
    }
    let place = match (run.shard, &args.sharing.claim) {
        (Some(shard), _) => Place::Share(shard.to_string()),
        (None, Some(_)) => Place::Share("its own".to_owned()),
        (None, None) => Place::Whole,
    };
    let figures = Figures::of(&records, absent, &data.missing_parts, place, args.partial);
    let handed_in = match figures.is_whole() || args.partial {
        true => hand_in(args, &records)?,
        false => None,
    };
    figures.print(&args.output, handed_in.as_deref(), args.json, printer)
}

/// Writes the file that goes to a server, where there is one.
fn hand_in(args: &EvalRunArgs, records: &[ResultRecord]) -> Result<Option<std::path::PathBuf>> {
    let Some(file) = results::handed_in(records, &submission::now()) else { return Ok(None) };
    let beside = || args.output.parent().unwrap_or(Path::new("")).to_owned();
    let dir = args.submission_dir.clone().unwrap_or_else(beside);
    let path = dir.join(&file.name);
    let write = || {
        if !dir.as_os_str().is_empty() {
            std::fs::create_dir_all(&dir)?;
        }
        std::fs::write(&path, &file.text)
    };
    write().with_context(|| format!("cannot write the file of answers to `{}`", path.display()))?;
    Ok(Some(path))
}
