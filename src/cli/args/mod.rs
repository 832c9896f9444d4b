//! What can be typed: commands and flags, checked for range here and for nothing else.

mod ask;
mod asking;
mod batch;
mod bench;
mod cache;
mod chat;
mod clip;
mod eval;
mod help;
mod model;
mod models;
mod named;
mod values;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use llava_video::device::{DeviceRequest, DtypeRequest, built_in_features};
use llava_video::hub::DEFAULT_MODEL;
use llava_video::video::ffmpeg_versions;

use asking::MODEL_VARIABLE;
use help::EXIT_CODES;
use help::heading::{DEVICES, MODEL, OUTPUT};
use named::one_of;

pub(crate) use ask::{AnswerArgs, AskArgs};
pub(crate) use asking::QuantizeArgs;
pub(crate) use batch::{BatchArgs, BatchCommand, BatchRunArgs, CacheUse, MergeArgs, WorkArgs, WorkerArgs, most_frames};
pub(crate) use bench::BenchArgs;
pub(crate) use cache::{CacheCommand, CacheInfoArgs, KeepArgs};
pub(crate) use chat::ChatArgs;
pub(crate) use clip::{ClipArgs, FrameArgs};
pub(crate) use eval::{
    EvalArgs, EvalCommand, EvalCompareArgs, EvalContextArgs, EvalJudgeArgs, EvalListArgs, EvalReportArgs, EvalRunArgs,
    EvalScoreArgs, Failures, RowsArgs,
};
pub(crate) use model::{InfoArgs, ListArgs, ModelCommand, ModelQuantizeArgs, PullArgs, RmArgs, VerifyArgs};
pub(crate) use named::{time_instruction, time_instruction_name};
pub(crate) use values::{at_least_one, not_negative, positive, probability, whole_number};

/// Program, FFmpeg and features, as `--version` prints them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = match built_in_features() {
        none if none.is_empty() => "none".to_owned(),
        some => some.join(", "),
    };
    format!("{}\nFFmpeg: {}\nfeatures: {features}", env!("CARGO_PKG_VERSION"), ffmpeg_versions())
});

/// The argument that makes the program a child which reads one clip.
pub(crate) const DECODE_WORKER: &str = "decode-worker";

const COMPLETIONS_HELP: &str = "\
To install, with llava-video on the PATH:
  bash  llava-video completions bash > ~/.local/share/bash-completion/completions/llava-video
  zsh   llava-video completions zsh > DIR/_llava-video, where DIR is in $fpath before compinit runs
  fish  llava-video completions fish > ~/.config/fish/completions/llava-video.fish";

/// Answers questions about videos with the LLaVA-Video models, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "llava-video", version = VERSION.as_str(), after_help = help::PROGRAM, max_term_width = 100)]
#[command(args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more on stderr about what is done.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Print nothing on stderr but errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Compute and decode with at most N threads. [default: what the machine and its control groups allow]
    #[arg(long, global = true, value_name = "N", value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer a question about a video, or about pictures.
    #[command(after_help = help::ASK, override_usage = help::ASK_USAGE)]
    Ask(Box<AskArgs>),
    /// Talk about a video, or about pictures: questions that build on earlier answers.
    #[command(after_help = help::CHAT, override_usage = help::CHAT_USAGE)]
    Chat(Box<ChatArgs>),
    /// Answer questions about thousands of videos, each once; a run that was killed goes on where it stopped.
    #[command(after_help = help::BATCH, override_usage = help::BATCH_USAGE)]
    Batch(Box<BatchArgs>),
    /// Answer questions that come as lines of JSON on standard input, with a line of JSON for each.
    #[command(after_help = help::WORKER)]
    Worker(Box<WorkerArgs>),
    /// Run a benchmark of the model card, or questions of your own, and score the answers.
    #[command(after_help = help::EVAL, override_usage = help::EVAL_USAGE)]
    Eval(Box<EvalArgs>),
    /// Print which frames of a video would be sampled, as one JSON object a line; no model is needed.
    #[command(after_help = help::FRAMES)]
    Frames(FramesArgs),
    /// Print the facts of a video: stream, size, rate, number of frames, and where they come from.
    #[command(after_help = help::PROBE)]
    Probe(ProbeArgs),
    /// Fetch, list, describe, check, quantize and remove checkpoints.
    #[command(subcommand, after_help = EXIT_CODES)]
    Model(ModelCommand),
    /// Show, shrink or remove the visual tokens that are kept between runs.
    #[command(subcommand, after_help = help::CACHE)]
    Cache(CacheCommand),
    /// Print the perplexity of a text under a checkpoint's language model.
    #[command(after_help = help::SCORE)]
    Score(ScoreArgs),
    /// Print what this machine and this build can do, and advice about what they cannot.
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Measure how fast each stage is on this machine, with a checkpoint or with random weights.
    #[command(after_help = help::BENCH)]
    Bench(Box<BenchArgs>),
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// The text, in UTF-8; `-` reads it from standard input. The language model alone scores it.
    #[arg(long, value_name = "FILE")]
    pub(crate) text_only: PathBuf,

    /// Checkpoint: a directory, a GGUF file, or a repository that is in the hub cache; also a plain Qwen2 model.
    #[arg(short, long, value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL, env = MODEL_VARIABLE)]
    #[arg(help_heading = MODEL, add = models::usable())]
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) quantize: QuantizeArgs,

    /// Tokens of one window; each but a window's first is predicted from those before it in the window.
    #[arg(long, value_name = "N", default_value = "512", value_parser = at_least_one)]
    pub(crate) context: usize,

    /// Where to compute: auto, cpu, cuda, cuda:INDEX or metal.
    #[arg(long, default_value = "auto", value_parser = DeviceRequest::from_str, help_heading = DEVICES)]
    pub(crate) device: DeviceRequest,

    /// Arithmetic of the model.
    #[arg(long, value_parser = one_of::<DtypeRequest>(), default_value = "auto", help_heading = DEVICES)]
    pub(crate) dtype: DtypeRequest,

    /// Print one JSON object instead of the number.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FramesArgs {
    #[command(flatten)]
    pub(crate) clip: ClipArgs,

    /// Write each sampled frame to this directory, as a PNG.
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub(crate) out: Option<PathBuf>,

    /// Write all sampled frames to one PNG or JPEG, in a grid with their numbers and times; `-` prints the PNG on
    /// standard output instead of the lines.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) contact_sheet: Option<PathBuf>,

    /// Write pictures as the vision tower sees them: the whole frame squeezed to 384x384.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) model_view: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) clip: ClipArgs,

    /// Print one JSON object.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
