//! A run of `eval`: rows are read, their videos looked for.

use anyhow::{Result, bail};
use llava_video::eval::data;
use llava_video::size::counted;

use crate::cli::args::EvalRunArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

pub(crate) fn run(args: &EvalRunArgs, printer: &mut Printer) -> Result<Exit> {
    let Some(benchmark) = args.benchmark else { bail!("a benchmark is needed") };
    let read = data::read(&args.data, benchmark, args.split, args.part.as_deref())?;
    printer.note(&counted(read.rows.len(), "row"));
    Ok(Exit::Done)
}
