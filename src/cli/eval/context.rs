//! `eval context`: what the model is asked about each row, and where its video is.

use std::path::PathBuf;

use anyhow::{Context, Result};
use llava_video::eval::Row;
use llava_video::eval::context::context;
use llava_video::eval::videos::{Video, expected, locate};
use llava_video::size::counted;
use serde_json::json;

use super::rows;
use crate::cli::args::EvalContextArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

pub(super) fn run(args: &EvalContextArgs, printer: &mut Printer) -> Result<Exit> {
    let data = rows::read(&args.rows, printer)?;
    let mut missing = Vec::new();
    for row in &data.rows {
        let (benchmark, harness) = (args.rows.benchmark, args.rows.harness);
        let of_part = || row.part.as_ref().map_or_else(|| benchmark.to_string(), |part| format!("{benchmark}, {part}"));
        let text = context(benchmark, harness, row).with_context(of_part)?;
        let video = video(args, row).with_context(of_part)?;
        if let Err(tried) = &video {
            missing.push(tried.clone());
        }
        let video = video.ok().map(|path| path.to_string_lossy().into_owned());
        printer.line(&json!({ "row": row.row, "part": row.part, "context": text, "video": video }).to_string())?;
    }
    match missing.first() {
        None => Ok(Exit::Done),
        Some(first) => {
            let (missing, rows) = (missing.len(), counted(data.rows.len(), "row"));
            printer.warning(&format!("{missing} of {rows} have no video, such as `{}`", first.display()));
            Ok(Exit::SomeFailed)
        }
    }
}

/// The video of a row; the first place where it was looked for, if it is nowhere.
fn video(args: &EvalContextArgs, row: &Row) -> Result<Result<PathBuf, PathBuf>> {
    let (benchmark, harness, split) = (args.rows.benchmark, args.rows.harness, args.rows.split);
    let Some(videos) = &args.videos else { return Ok(Ok(expected(benchmark, harness, split, row)?)) };
    Ok(match locate(videos, benchmark, harness, split, row)? {
        Video::Clip(path) | Video::Frames(path) => Ok(path),
        Video::Missing(missing) => Err(missing.tried.into_iter().next().unwrap_or_default()),
    })
}
