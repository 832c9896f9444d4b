//! The command line: arguments in, library calls, answers and exit codes out. No work is done in this file.

mod announce;
mod answers;
mod args;
mod ask;
mod batch;
mod bench;
mod cache;
mod chat;
mod columns;
mod completions;
mod desk;
mod doctor;
mod eval;
mod exit;
mod file_url;
mod frames;
mod input;
mod man;
mod model;
mod observer;
mod opened;
mod output;
mod pictures;
mod probe;
mod progress;
mod questions;
mod record;
mod score;
mod signals;
mod stream;
mod threads;

use std::process::ExitCode;

use clap::Parser;
use llava_video::video::isolated;

use args::{Cli, Command, DECODE_WORKER, FOR_EACH};
use exit::Exit;
use output::Printer;

/// Parses, runs and reports; the whole life of the process.
pub(crate) fn run() -> ExitCode {
    // Not a command of clap's: help, suggestions and completions must not know it.
    let hidden = |arguments: &[&str]| std::env::args_os().skip(1).eq(arguments.iter().copied());
    if hidden(&[DECODE_WORKER]) {
        isolated::serve();
        return Exit::Done.into();
    }
    if hidden(&[DECODE_WORKER, FOR_EACH]) {
        isolated::serve_many();
        return Exit::Done.into();
    }
    match completions::answer_the_shell() {
        Ok(false) => {}
        Ok(true) => return Exit::Done.into(),
        Err(error) => return output::usage(&error),
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    threads::settle(cli.threads);
    let mut printer = Printer::new(cli.verbose, cli.quiet);
    let outcome = match cli.command {
        Command::Ask(args) => ask::run(*args, &mut printer),
        Command::Chat(args) => chat::run(&args, &mut printer),
        Command::Batch(args) => batch::run(*args, &mut printer),
        Command::Worker(args) => batch::worker::run(&args, &mut printer),
        Command::Eval(args) => eval::run(&args, &mut printer),
        Command::Frames(args) => frames::run(&args, &mut printer),
        Command::Probe(args) => probe::run(&args, &mut printer),
        Command::Model(command) => model::run(&command, &mut printer),
        Command::Cache(command) => cache::run(&command, &mut printer),
        Command::Score(args) => score::run(&args, &mut printer),
        Command::Doctor(args) => doctor::run(&args, &mut printer),
        Command::Bench(args) => bench::run(&args, &mut printer),
        Command::Completions { shell } => {
            completions::script(shell).and_then(|script| printer.file(&script)).map(|()| Exit::Done)
        }
        Command::Man { dir } => man::write(&dir, &mut printer).map(|()| Exit::Done),
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
            exit @ (Exit::Done | Exit::SomeFailed) => exit.into(),
        },
    }
}
