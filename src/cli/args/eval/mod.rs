//! The arguments of `eval`.

mod fetch;
mod run;

use clap::{Args, Subcommand};

use super::help;

pub(crate) use fetch::FetchArgs;
pub(crate) use run::EvalRunArgs;

/// The arguments of `eval`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) command: Option<EvalCommand>,

    #[command(flatten)]
    pub(crate) run: EvalRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Download a benchmark and unpack it where the evaluation looks for it; what is there already stays.
    #[command(after_help = help::EVAL_FETCH)]
    Fetch(FetchArgs),
}
