//! `eval`: the benchmarks of the model card, and people's own questions, run, scored and compared.

mod run;

use anyhow::Result;

use super::args::EvalArgs;
use super::exit::Exit;
use super::output::Printer;

pub(crate) fn run(args: &EvalArgs, printer: &mut Printer) -> Result<Exit> {
    match &args.command {
        Some(command) => match *command {},
        None => run::run(&args.run, printer),
    }
}
