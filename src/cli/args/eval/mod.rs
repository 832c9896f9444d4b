//! The arguments of `eval`.

mod compare;
mod context;
mod judge;
mod list;
mod report;
mod rows;
mod run;
mod score;

use clap::{Args, Subcommand};

use super::help;

pub(crate) use compare::EvalCompareArgs;
pub(crate) use context::EvalContextArgs;
pub(crate) use judge::{EvalJudgeArgs, Failures};
pub(crate) use list::EvalListArgs;
pub(crate) use report::EvalReportArgs;
pub(crate) use rows::RowsArgs;
pub(crate) use run::EvalRunArgs;
pub(crate) use score::EvalScoreArgs;

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
    /// List the benchmarks: rows, hours of video, the card's number, and what a run costs.
    #[command(visible_alias = "ls", after_help = help::EVAL_LIST)]
    List(EvalListArgs),
    /// Print what the model is asked about each row, as one JSON object a line; no model is needed.
    #[command(after_help = help::EVAL_CONTEXT)]
    Context(EvalContextArgs),
    /// Parse and score predictions that were made elsewhere; no model is needed.
    #[command(after_help = help::EVAL_SCORE)]
    Score(EvalScoreArgs),
    /// Compare two runs row by row: the difference of their figures, and how sure it is.
    #[command(after_help = help::EVAL_COMPARE)]
    Compare(EvalCompareArgs),
    /// Have a language model judge the answers of a run, as the benchmarks of open questions want it.
    #[command(after_help = help::EVAL_JUDGE)]
    Judge(EvalJudgeArgs),
    /// Write a report of results as one HTML page or as Markdown: tables, intervals, settings, what is missing.
    #[command(after_help = help::EVAL_REPORT)]
    Report(EvalReportArgs),
}
