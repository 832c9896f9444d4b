//! What `eval fetch` takes.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use llava_video::eval::{Benchmark, Harness, Split};

use super::super::help::heading::EVALUATION;
use super::super::named::one_of;
use super::super::values::whole_number;

/// What `eval fetch` takes.
#[derive(Debug, Args)]
pub(crate) struct EvalFetchArgs {
    /// The benchmark, by its name in lmms-eval.
    #[arg(value_name = "BENCHMARK", value_parser = one_of::<Benchmark>())]
    pub(crate) benchmark: Benchmark,

    /// The folder to put it in, one for each benchmark; `eval` finds it there with the same flag.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: PathBuf,

    /// Print what there is, how large it is, what of it is here already, and under which terms; download nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Fetch the questions without the videos.
    #[arg(long)]
    pub(crate) annotations_only: bool,

    /// Delete each archive from the hub cache once it is unpacked, before the next is downloaded: half the disk space.
    #[arg(long)]
    pub(crate) discard_archives: bool,

    /// Take the files from this repository of datasets, such as a copy, at a branch, tag or commit.
    #[arg(long, value_name = "REPO[@REV]")]
    pub(crate) repository: Option<String>,

    /// Open no connection; use what the hub cache has.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Give up after this many failures in a row without a byte of progress. [default: 8]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>)]
    pub(crate) retries: Option<u32>,

    /// Print one JSON object: the files with --dry-run, else what was done.
    #[arg(long)]
    pub(crate) json: bool,

    /// Fetch one part of a benchmark that has several, such as moving_count.
    #[arg(long, value_name = "NAME", help_heading = EVALUATION)]
    pub(crate) part: Option<String>,

    /// Which rows: those behind the card's number, or the publisher's other test rows.
    #[arg(long, value_parser = one_of::<Split>(), default_value = "card", help_heading = EVALUATION)]
    pub(crate) split: Split,

    /// Fetch what lmms-eval read as of this date: before October 2024 other videos of MVBench, another table of MLVU.
    #[arg(long, value_parser = one_of::<Harness>(), default_value = "2024-09", help_heading = EVALUATION)]
    pub(crate) harness: Harness,
}
