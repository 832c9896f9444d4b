//! `eval`: the benchmarks of the model card, and people's own questions, run, scored and compared.

mod compare;
mod context;
mod figures;
mod judge;
mod list;
mod records;
mod report;
mod rows;
mod run;
mod score;

use anyhow::Result;

use super::args::{EvalArgs, EvalCommand};
use super::exit::{Exit, UsageError};
use super::output::Printer;

pub(crate) fn run(args: &EvalArgs, printer: &mut Printer) -> Result<Exit> {
    match (&args.command, &args.run) {
        (Some(EvalCommand::List(args)), _) => list::run(args, printer),
        (Some(EvalCommand::Context(args)), _) => context::run(args, printer),
        (Some(EvalCommand::Score(args)), _) => score::run(args, printer),
        (Some(EvalCommand::Compare(args)), _) => compare::run(args, printer),
        (Some(EvalCommand::Judge(args)), _) => judge::run(args, printer),
        (Some(EvalCommand::Report(args)), _) => report::run(args, printer),
        (None, Some(args)) => run::run(args, printer),
        (None, None) => Err(UsageError("eval needs --data and --output, or a command".to_owned()).into()),
    }
}
