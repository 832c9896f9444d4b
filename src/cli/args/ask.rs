//! The arguments of `ask`, and those that `chat` shares with it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::asking::{AskingArgs, CHOICE_CONFLICTS};
use super::cache::KeepArgs;
use super::help::heading::{ANSWER, OUTPUT, PROMPT};

/// The arguments of `ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The video or picture: a file, a directory of pictures as a video, or `-` for standard input.
    #[arg(value_name = "VIDEO", required_unless_present = "no_video", value_hint = ValueHint::FilePath)]
    video: Option<OsString>,

    /// The question, always last; `-` reads it from standard input. More pictures may come before it. Leave it out with
    /// --question or --questions.
    #[arg(value_name = "QUESTION", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present_any = ["no_video", "question", "questions"])]
    rest: Vec<OsString>,

    /// A question; repeatable: the video is read once for all of them.
    #[arg(short = 'Q', long, value_name = "TEXT", help_heading = PROMPT)]
    pub(crate) question: Vec<OsString>,

    /// Questions from a file, one a line; `-` reads them from standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = PROMPT)]
    pub(crate) questions: Option<PathBuf>,

    /// Answer with the likeliest of these, and with --json say how likely each is.
    #[arg(long, value_name = "TEXT,...", value_delimiter = ',', help_heading = ANSWER)]
    #[arg(conflicts_with_all = CHOICE_CONFLICTS)]
    pub(crate) choices: Vec<String>,

    /// Read the choices from a file, one a line; `-` reads standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = ANSWER)]
    #[arg(conflicts_with = "choices", conflicts_with_all = CHOICE_CONFLICTS)]
    pub(crate) choices_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) answering: AnswerArgs,

    /// Print the memory that the request would take on each device, and load nothing.
    #[arg(long, conflicts_with_all = ["timings", "dump_tensors"], help_heading = OUTPUT)]
    pub(crate) dry_run: bool,

    /// Write the tensors of every stage to a safetensors file, to compare with the reference.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) dump_tensors: Option<PathBuf>,
}

impl AskArgs {
    /// Whether questions are given by flags, so that no argument is one.
    pub(crate) fn has_question_flags(&self) -> bool {
        !self.question.is_empty() || self.questions.is_some()
    }

    /// What is asked about, in order, and the question, unless flags give questions. With `--no-video` a lone argument
    /// is the question.
    pub(crate) fn files_and_question(&self) -> (Vec<&OsStr>, Option<&OsStr>) {
        let mut files: Vec<&OsStr> = self.video.iter().chain(&self.rest).map(OsString::as_os_str).collect();
        let question = if self.has_question_flags() { None } else { files.pop() };
        (files, question)
    }
}

/// What every command takes that answers about one video: how it is asked, and what is printed.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    pub(crate) asking: AskingArgs,

    /// Ask the language model alone, without a video.
    #[arg(long, help_heading = PROMPT)]
    pub(crate) no_video: bool,

    #[command(flatten)]
    pub(crate) cache: KeepArgs,

    /// Print one JSON object for each question instead of the answer alone.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Print on stderr how long each stage took.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) timings: bool,
}
