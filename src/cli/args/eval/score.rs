//! The arguments of `eval score`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::super::help::heading::OUTPUT;
use super::super::values::whole_number;
use super::rows::RowsArgs;

/// The arguments of `eval score`.
#[derive(Debug, Args)]
pub(crate) struct EvalScoreArgs {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,

    /// Lines such as {"row": 0, "output": "A"}, with "part" where there are several; `-` reads standard input.
    #[arg(value_name = "PREDICTIONS.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) predictions: PathBuf,

    /// Draw a letter, by this seed, where lmms-eval draws one at random. [default: draw none; such an answer is wrong]
    #[arg(long, value_name = "SEED", value_parser = whole_number::<u64>)]
    pub(crate) draw_seed: Option<u64>,

    /// Compute figures although rows have no prediction; the title says so.
    #[arg(long)]
    pub(crate) partial: bool,

    /// Write the file of answers that a benchmark's server scores to this directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    pub(crate) submission_dir: Option<PathBuf>,

    /// Print the figures as one JSON object after the records, instead of a table on standard error.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}
