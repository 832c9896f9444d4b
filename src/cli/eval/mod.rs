//! `eval`: the benchmarks of the model card, and people's own questions, run, scored and compared.

mod figures;
mod records;
mod report;
mod run;

use anyhow::Result;

use super::args::{EvalArgs, EvalCommand};
use super::exit::{Exit, UsageError};
use super::output::Printer;

pub(crate) fn run(args: &EvalArgs, printer: &mut Printer) -> Result<Exit> {
    match (&args.command, &args.run) {
        (Some(EvalCommand::Report(args)), _) => report::run(args, printer),
        (None, Some(args)) => run::run(args, printer),
        (None, None) => Err(UsageError("eval needs --data and --output, or a command".to_owned()).into()),
    }
}
