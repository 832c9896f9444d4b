//! The command line: arguments in, library calls, answers and exit codes out. No work is done in this file.

mod args;
mod ask;
mod exit;
mod frames;
mod memory;
mod model;
mod output;
mod pictures;
mod probe;
mod record;
mod request;
mod score;
mod signals;
mod threads;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use llava_video::video::isolated;

use args::{Cli, Command};
use exit::Exit;
use output::Printer;

/// Parses, runs and reports; the whole life of the process.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    if matches!(cli.command, Command::DecodeWorker) {
        isolated::serve(std::io::stdin().lock(), std::io::stdout().lock());
        return Exit::Done.into();
    }
    threads::settle(cli.threads);
    let mut printer = Printer::new(cli.verbose, cli.quiet);
    let outcome = match cli.command {
        Command::Ask(args) => ask::run(*args, &mut printer),
        Command::Frames(args) => frames::run(&args, &mut printer),
        Command::Probe(args) => probe::run(&args, &mut printer),
        Command::Model(command) => model::run(&command, &mut printer),
        Command::Score(args) => score::run(&args, &mut printer),
        Command::Completions { shell } => printer.completions(shell, &mut Cli::command()),
        Command::DecodeWorker => Ok(Exit::Done),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => match Exit::of(&error) {
            Exit::Failed => {
                printer.error(&error);
                Exit::Failed.into()
            }
            Exit::Usage => {
                printer.error(&error);
                Exit::Usage.into()
            }
            Exit::Interrupted(signal) => {
                printer.note("interrupted");
                Exit::Interrupted(signal).into()
            }
            Exit::Done => Exit::Done.into(),
        },
    }
}
