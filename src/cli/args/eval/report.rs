//! What `eval report` takes.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::super::help::heading::OUTPUT;

/// What `eval report` takes.
#[derive(Debug, Args)]
pub(crate) struct EvalReportArgs {
    /// Files of results, as `eval` and `eval score` write them: of several benchmarks, of several runs, of the shards
    /// of one run.
    #[arg(value_name = "RESULTS.jsonl", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) results: Vec<PathBuf>,

    /// The report: HTML or Markdown, as its name ends; repeat it for both. A file that exists is replaced.
    #[arg(short, long, value_name = "REPORT.html|REPORT.md", required = true, value_hint = ValueHint::FilePath)]
    #[arg(help_heading = OUTPUT)]
    pub(crate) output: Vec<PathBuf>,
}
