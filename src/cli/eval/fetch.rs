//! `eval fetch`: a benchmark's files from the hub, unpacked where the evaluation looks for them.

use anyhow::Result;
use llava_video::Error;
use llava_video::eval::fetch::{self, Event, FetchError, Plan, Request, There};
use llava_video::hub::{RepoName, Settings};
use llava_video::size::{counted, shown};
use serde_json::json;

use super::fetch_plan;
use crate::cli::args::EvalFetchArgs;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::model::report;
use crate::cli::output::Printer;
use crate::cli::signals;

/// Names of missing videos that are shown without `-v`.
const SHOWN_MISSING: usize = 3;

pub(super) fn run(args: &EvalFetchArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let mut settings = Settings::from_env(args.offline.then_some("--offline")).map_err(Error::from)?;
    if let Some(retries) = args.retries {
        (settings.retries, settings.connect_patience) = (retries, None);
    }
    let repository = args.repository.as_deref().map(repository).transpose()?;
    let request = Request {
        benchmark: args.benchmark,
        harness: args.harness,
        split: args.split,
        part: args.part.as_deref(),
        annotations_only: args.annotations_only,
        repository: repository.as_ref(),
        data: &args.data,
    };
    let mut on_event = |event| report(event, &settings, &args.benchmark, printer);
    let plan = fetch::plan(&request, &settings, &interrupt, &mut on_event).map_err(told)?;
    if args.dry_run {
        let lines = match args.json {
            true => vec![fetch_plan::object(&plan, &settings).to_string()],
            false => fetch_plan::lines(&plan, &settings),
        };
        lines.iter().try_for_each(|line| printer.line(line))?;
        return Ok(Exit::Done);
    }
    announce_terms(&plan, printer);
    let mut on_event = |event| match event {
        Event::Download(event) => report(event, &settings, &plan.repository, printer),
        Event::Unpacking { done, total } => printer.bytes_progress("unpack", done, total),
        Event::Unpacked { archive, files, bytes } => {
            printer.note(&format!("unpacked {archive}: {}, {}", counted(files, "file"), shown(bytes)));
        }
    };
    let done = fetch::carry_out(&plan, &settings, args.discard_archives, &interrupt, &mut on_event).map_err(told)?;
    if done.received_bytes > 0 {
        printer.note(&format!("downloaded {}; all checksums are right", shown(done.received_bytes)));
    }
    let there = fetch::there(&request).map_err(told)?;
    if !args.annotations_only {
        tell(&there, printer);
    }
    for left in &plan.by_hand {
        printer.note(left);
    }
    if !args.json {
        printer.line(&args.data.to_string_lossy())?;
        return Ok(Exit::Done);
    }
    let object = json!({
        "benchmark": args.benchmark.name(),
        "repository": plan.repository.id(),
        "commit": plan.dataset.commit,
        "dir": args.data.to_string_lossy(),
        "received_bytes": done.received_bytes,
        "archives": done.archives,
        "unpacked_files": done.unpacked_files,
        "rows": there.rows,
        "rows_with_video": there.rows_with_video,
        "missing_videos": there.missing,
        "by_hand": plan.by_hand,
        "warnings": printer.warnings(),
    });
    printer.line(&object.to_string())?;
    Ok(Exit::Done)
}

/// `owner/name[@revision]` of a dataset.
fn repository(text: &str) -> Result<RepoName> {
    let (id, revision) = text.split_once('@').map_or((text, None), |(id, revision)| (id, Some(revision)));
    let no_repository = |_| UsageError(format!("--repository is `{text}`, expected OWNER/NAME or OWNER/NAME@REVISION"));
    Ok(RepoName::dataset(id, revision).map_err(no_repository)?)
}

fn announce_terms(plan: &Plan, printer: &mut Printer) {
    if let Some(licence) = plan.terms().and_then(|terms| terms.licence.as_deref()) {
        printer.note(&format!("{}: licence {licence}", plan.repository));
    }
}

fn tell(there: &There, printer: &mut Printer) {
    let (found, rows) = (there.rows_with_video, counted(there.rows, "row"));
    if there.missing.is_empty() {
        printer.note(&format!("the videos of all {rows} are there"));
        return;
    }
    let names = there.missing.iter().take(SHOWN_MISSING).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    let more = if there.missing.len() > SHOWN_MISSING { ", and others that `-v` prints" } else { "" };
    let missing = counted(there.missing.len(), "video");
    printer.warning(&format!("{found} of {rows} have their video; {missing} missing: {names}{more}"));
    for path in there.missing.iter().skip(SHOWN_MISSING) {
        printer.detail(&format!("missing: `{path}`"));
    }
}

/// An interrupt is one wherever it came.
fn told(error: FetchError) -> anyhow::Error {
    match error {
        FetchError::Interrupted(interrupted) => interrupted.into(),
        error => error.into(),
    }
}
