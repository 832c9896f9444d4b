//! `eval score`: predictions that were made elsewhere, parsed and scored.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use llava_video::batch::Status;
use llava_video::eval::data::part_called;
use llava_video::eval::judging::of_record;
use llava_video::eval::parse::Draw;
use llava_video::eval::predictions::{self, Asked};
use llava_video::eval::results::{ResultRecord, handed_in};
use llava_video::eval::score::submission::{has_submission, time_now};
use llava_video::size::counted;
use serde_json::{Value, json};

use super::figures::{Figures, Given};
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
    let submission = submission(args, &records, printer)?;
    let given = Given { missing_parts: &data.missing_parts, is_partial: args.partial, is_before_judge: true };
    let figures = Figures::of(&records, given);
    if args.json {
        let more = json!({ "judge": null, "submission": submission, "warnings": printer.warnings() });
        printer.line(&figures.object(more).to_string())?;
    } else {
        let lines = figures.lines(&[]);
        printer.table(&lines);
    }
    let is_judged = records.first().is_some_and(|record| of_record(record).is_some());
    if is_judged {
        printer.note("a judge scores these answers: `eval judge` asks one about the records printed here");
    }
    Ok(figures.end(printer))
}

/// Writes the file to hand in, and gives its path.
fn submission(args: &EvalScoreArgs, records: &[ResultRecord], printer: &mut Printer) -> Result<Value> {
    let answered: Vec<ResultRecord> = records.iter().filter(|record| record.status == Status::Ok).cloned().collect();
    let (Some(dir), Some(file)) = (&args.submission_dir, handed_in(&answered, &time_now())) else {
        return Ok(Value::Null);
    };
    let path = dir.join(&file.name);
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&path, &file.text))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    printer.note(&format!("`{}` holds the answers to hand in", path.display()));
    Ok(path.to_string_lossy().into())
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
