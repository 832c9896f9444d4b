//! Which rows of which benchmark are meant, for the commands that need no model.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use llava_video::eval::{Benchmark, Harness, Split};

use super::super::named::one_of;

/// Which rows of which benchmark are meant.
#[derive(Debug, Args)]
pub(crate) struct RowsArgs {
    /// The benchmark, by its name in lmms-eval.
    #[arg(value_name = "BENCHMARK", value_parser = one_of::<Benchmark>())]
    pub(crate) benchmark: Benchmark,

    /// The publisher's folder as it was downloaded, or one annotation file.
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) data: PathBuf,

    /// One part of a benchmark that has several, such as moving_count.
    #[arg(long, value_name = "NAME")]
    pub(crate) part: Option<String>,

    /// Which rows: those behind the card's number, or the publisher's other test rows.
    #[arg(long, value_parser = one_of::<Split>(), default_value = "card")]
    pub(crate) split: Split,

    /// Use the prompts and parsers of lmms-eval, the authors' harness, as of this date.
    #[arg(long, value_parser = one_of::<Harness>(), default_value = "2024-09")]
    pub(crate) harness: Harness,
}
