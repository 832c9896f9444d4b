//! `eval`: the benchmarks of the model card, and people's own questions, run, scored and compared.

mod fetch;
mod fetch_plan;
mod figures;
mod records;
mod run;

use anyhow::Result;

use super::args::{EvalArgs, EvalCommand};
use super::exit::Exit;
use super::output::Printer;

pub(crate) fn run(args: &EvalArgs, printer: &mut Printer) -> Result<Exit> {
    match &args.command {
        Some(EvalCommand::Fetch(args)) => fetch::run(args, printer),
        None => run::run(&args.run, printer),
    }
}
