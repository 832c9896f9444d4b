//! The arguments of `eval compare`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::super::help::heading::OUTPUT;

/// The arguments of `eval compare`.
#[derive(Debug, Args)]
pub(crate) struct EvalCompareArgs {
    /// Results of one run.
    #[arg(value_name = "A.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) a: PathBuf,

    /// Results of another run over the same rows.
    #[arg(value_name = "B.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) b: PathBuf,

    /// Which run of the first file, where it holds several.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest_a: Option<String>,

    /// Which run of the second file.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest_b: Option<String>,

    /// Print one JSON object.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}
