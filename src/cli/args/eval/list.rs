//! The arguments of `eval list`.

use clap::Args;

use super::super::help::heading::OUTPUT;

/// The arguments of `eval list`.
#[derive(Debug, Args)]
pub(crate) struct EvalListArgs {
    /// Print one JSON object.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}
