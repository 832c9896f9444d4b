//! `eval score`: predictions that were made elsewhere, parsed and scored.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llava_video::batch::Status;
use llava_video::eval::data::part_called;
use llava_video::eval::parse::Draw;
use llava_video::eval::predictions::{self, Asked};
use llava_video::eval::results::{ResultRecord, handed_in};
use llava_video::eval::score::submission::{self, has_submission};
use llava_video::size::counted;
use serde_json::json;

use super::figures::{Figures, Place};
use super::rows;
use crate::cli::args::EvalScoreArgs;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::Printer;

pub(super) fn run(args: &EvalScoreArgs, printer: &mut Printer) -> Result<Exit> {
    let (benchmark, harness, split) = (args.rows.benchmark, args.rows.harness, args.rows.split);
    if args.submission_dir.is_some() && !has_submission(benchmark, split) {
        return Err(UsageError(format!("split {split} of {benchmark} has no file to hand in")).into());
    }
    let data = rows::read(&args.rows, printer)?;
    let name = match args.predictions == Path::new("-") {
        true => Path::new("standard input"),
        false => &args.predictions,
    };
    let bytes = read(&args.predictions).with_context(|| format!("cannot read `{}`", name.display()))?;
    let only = args.rows.part.as_deref().map(|part| part_called(benchmark, part)).transpose()?;
    let predictions = predictions::read(&bytes, name, benchmark, only)?;
    if predictions.of_other_parts > 0 {
        printer.note(&format!("{} of other parts left out", counted(predictions.of_other_parts, "prediction")));
    }
    let asked = Asked { benchmark, harness, split, draw: args.draw_seed.map(Draw::new) };
    let records = predictions::score(asked, &data, &predictions, &asked.digest(&bytes))?;
    for record in &records {
        printer.line(&serde_json::to_string(record)?)?;
    }
    let submission = submission(args, &records)?;
    // Data without some of the parts is what somebody chose to have; predictions that are missing are not.
    let are_parts_missing = !data.missing_parts.is_empty() && records.iter().all(|record| record.status == Status::Ok);
    let is_partial = args.partial || are_parts_missing;
    let figures = Figures::of(&records, Vec::new(), &data.missing_parts, Place::Whole, is_partial);
    match args.json {
        true => {
            let mut object = figures.object(None, submission.as_deref());
            object["warnings"] = json!(printer.warnings());
            printer.line(&object.to_string())?;
        }
        false => printer.table(&figures.lines(submission.as_deref())),
    }
    let is_whole = records.iter().all(|record| record.status == Status::Ok);
    Ok(if is_whole { Exit::Done } else { Exit::SomeFailed })
}

/// Writes the file to hand in, and gives its path.
fn submission(args: &EvalScoreArgs, records: &[ResultRecord]) -> Result<Option<PathBuf>> {
    let answered: Vec<ResultRecord> = records.iter().filter(|record| record.status == Status::Ok).cloned().collect();
    let (Some(dir), Some(file)) = (&args.submission_dir, handed_in(&answered, &submission::now())) else {
        return Ok(None);
    };
    let path = dir.join(&file.name);
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&path, &file.text))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Some(path))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
