//! `bench`: how fast each stage is on this machine, as a table for people or as JSON.

mod record;
mod table;

use std::ffi::OsStr;
use std::ops::ControlFlow;

use anyhow::Result;
use llava_video::Error;
use llava_video::bench::{Bench, Event, Machine, Row, Stage};
use llava_video::engine::{self, ClipRequest};
use llava_video::model_name::locate_by_name;

use self::record::Report;
use super::args::BenchArgs;
use super::exit::{Exit, UsageError};
use super::observer::surface;
use super::output::Printer;
use super::{file_url, input, signals};

pub(crate) fn run(args: &BenchArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let clip = args.video.as_deref().map(clip).transpose()?;
    let source = match (&args.model, args.preset()) {
        (Some(name), _) => locate_by_name(name).map_err(Error::from)?,
        (None, preset) => preset.unwrap_or_default().source(),
    };
    let bench = Bench::open(&source, args.options(clip), &interrupt).map_err(surface)?;
    let positions = args.most_positions();
    if let Some(limit) = bench.checkpoint().config.context_length.filter(|&limit| positions > limit) {
        let message = format!("--prompt-tokens and --new-tokens are {positions} together, the model's context {limit}");
        return Err(UsageError(message).into());
    }
    let is_skipped = |one: &Stage| !one.is_part() && !bench.stages().any(|stage| stage == *one);
    let skipped: Vec<Stage> = Stage::ALL.into_iter().filter(is_skipped).collect();
    if args.video.is_none() && args.stages().contains(&Stage::VideoDecode) {
        printer.note("video decode is not measured; `--video` names a clip for it");
    }
    let (machine, ceilings) = (Machine::look(), bench.ceilings().map_err(surface)?);
    let report = Report { args, bench: &bench, machine, ceilings, kernels: bench.kernels_name() };
    if !args.json {
        table::head(&report).iter().try_for_each(|line| printer.line(line))?;
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut unprinted = None;
    let mut on_event = |event: Event<'_>| {
        match event {
            Event::Running { stage, done, total } => printer.progress(stage.name(), "runs", done, total),
            Event::Warning(warning) => printer.warning(warning),
            Event::Measured(row) if args.json => rows.push(row),
            Event::Measured(row) => {
                if let Err(error) = printer.line(&table::line(&row)) {
                    unprinted = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    };
    let outcome = bench.run(ceilings, &mut on_event);
    printer.end_progress();
    match (outcome, unprinted) {
        (Err(engine::Error::Abandoned), Some(error)) => return Err(error),
        (outcome, _) => outcome.map_err(surface)?,
    }
    if args.json {
        printer.line(&report.to_json(&rows, &skipped, printer.warnings()).to_string())?;
    }
    Ok(Exit::Done)
}

/// A file, to be decoded as `ask` decodes it.
fn clip(video: &OsStr) -> Result<ClipRequest> {
    Ok(ClipRequest::new(file_url::local_path(video)?, input::launcher()?))
}
