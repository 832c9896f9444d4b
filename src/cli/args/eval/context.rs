//! The arguments of `eval context`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::rows::RowsArgs;

/// The arguments of `eval context`.
#[derive(Debug, Args)]
pub(crate) struct EvalContextArgs {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,

    /// Look for the videos in this folder, and print the file of each. [default: print where lmms-eval looks]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) videos: Option<PathBuf>,
}
