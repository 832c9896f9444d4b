//! The arguments of `eval judge`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::super::help::heading::{OUTPUT, RESUME};
use super::super::values::{at_least_one, not_negative, positive};

/// The variable that holds the key, unless another is named.
const KEY_VARIABLE: &str = "LLAVA_VIDEO_JUDGE_KEY";

/// The arguments of `eval judge`.
#[derive(Debug, Args)]
pub(crate) struct EvalJudgeArgs {
    /// Results of activitynetqa, videochatgpt or videodc; verdicts are added to this file.
    #[arg(value_name = "RESULTS.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) results: PathBuf,

    /// Address of a server that speaks OpenAI's chat completions, such as https://api.openai.com/v1.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) judge_url: String,

    /// The judge, by its name on that server.
    #[arg(long, value_name = "MODEL")]
    pub(crate) judge_model: String,

    /// Environment variable that holds the server's key, if it wants one.
    #[arg(long, value_name = "NAME", default_value = KEY_VARIABLE)]
    pub(crate) judge_key_variable: String,

    /// Ask about at most N answers at a time.
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_least_one)]
    pub(crate) concurrency: usize,

    /// Give up a request after this long.
    #[arg(long, value_name = "SECS", default_value = "60", value_parser = positive)]
    pub(crate) timeout: f64,

    /// Which run's records to judge, where the file holds several.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,

    /// What to do about an answer that gets no verdict.
    #[arg(long, value_enum, default_value = "again", help_heading = RESUME)]
    pub(crate) failures: Failures,

    /// Attempts at a question, with `--failures again`.
    #[arg(long, value_name = "N", default_value = "6", value_parser = at_least_one, help_heading = RESUME)]
    pub(crate) attempts: usize,

    /// Pause before the second attempt; it doubles from there. A longer one that the server asks for is kept.
    #[arg(long, value_name = "SECS", default_value = "2", value_parser = not_negative, help_heading = RESUME)]
    pub(crate) pause: f64,

    /// Compute figures although rows have no verdict; the title says so.
    #[arg(long)]
    pub(crate) partial: bool,

    /// Print the figures as one JSON object instead of tables.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

/// What is done about an answer that gets no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Failures {
    /// Leave it without one; the next run asks again.
    Again,
    /// Do as lmms-eval does: five attempts, then wrong, with a score of 0.
    Harness,
}
