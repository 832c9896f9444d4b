//! The arguments of `eval`.

mod report;
mod run;

use clap::{Args, Subcommand};

use super::help;

pub(crate) use report::EvalReportArgs;
pub(crate) use run::EvalRunArgs;

/// The arguments of `eval`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) command: Option<EvalCommand>,

    /// There unless there is a command.
    #[command(flatten)]
    pub(crate) run: Option<EvalRunArgs>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Write a report of results, as one HTML page or as Markdown: tables, intervals, settings, what is missing.
    #[command(after_help = help::EVAL_REPORT)]
    Report(EvalReportArgs),
}
