//! The arguments of `chat`.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Args, ValueHint};

use super::AnswerArgs;
use super::help::heading::PROMPT;

/// The environment's default for `--history`.
const HISTORY_VARIABLE: &str = "LLAVA_VIDEO_HISTORY";

/// The arguments of `chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The video or the pictures to talk about; with none, the language model alone answers until `/video` names some.
    #[arg(value_name = "VIDEO", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<OsString>,

    #[command(flatten)]
    pub(crate) answering: AnswerArgs,

    /// File that keeps the lines typed at a terminal; an empty name keeps none. [default: llava-video/history in
    /// $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", env = HISTORY_VARIABLE, value_parser = OsStringValueParser::new())]
    #[arg(value_hint = ValueHint::FilePath, help_heading = PROMPT)]
    pub(crate) history: Option<OsString>,
}
