//! What can be typed: commands and flags, checked for range here and for nothing else.

mod ask;
mod clip;
mod model;
mod models;
mod values;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use llava_video::device::{DeviceRequest, DtypeRequest, built_in_features};
use llava_video::hub::DEFAULT_MODEL;
use llava_video::video::ffmpeg_versions;

use ask::ASK_USAGE;
use values::at_least_one;

pub(crate) use ask::{AskArgs, DeviceArgs, QuantizeArgs};
pub(crate) use clip::{ClipArgs, Selection};
pub(crate) use model::{InfoArgs, ListArgs, ModelCommand, ModelQuantizeArgs, PullArgs, RmArgs, VerifyArgs};

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

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated.";

const COMPLETIONS_HELP: &str = "\
To install, with llava-video on the PATH:
  bash  llava-video completions bash > ~/.local/share/bash-completion/completions/llava-video
  zsh   llava-video completions zsh > DIR/_llava-video, where DIR is in $fpath before compinit runs
  fish  llava-video completions fish > ~/.config/fish/completions/llava-video.fish";

/// Answers questions about videos with the LLaVA-Video models, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "llava-video", version = VERSION.as_str(), after_help = EXIT_CODES, max_term_width = 100, args_override_self = true)]
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
    #[command(after_help = EXIT_CODES, override_usage = ASK_USAGE)]
    Ask(Box<AskArgs>),
    /// Print which frames of a video would be sampled, as one JSON object a line; no model is needed.
    #[command(after_help = EXIT_CODES)]
    Frames(FramesArgs),
    /// Print what is known of a video: stream, rate, number of frames and how they were found.
    #[command(after_help = EXIT_CODES)]
    Probe(ProbeArgs),
    /// Fetch, list, describe, check, quantize and remove checkpoints.
    #[command(subcommand, after_help = EXIT_CODES)]
    Model(ModelCommand),
    /// Print the perplexity of a text under a checkpoint's language model.
    #[command(after_help = EXIT_CODES)]
    Score(ScoreArgs),
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// The text, UTF-8: scored by the language model alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) text_only: PathBuf,

    /// Checkpoint: a directory, a GGUF file, or a repository that is in the hub cache; also a plain Qwen2 model.
    #[arg(long, value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL, add = models::usable())]
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) quantize: QuantizeArgs,

    /// Tokens of one window; each but a window's first is predicted from those before it in the window.
    #[arg(long, value_name = "N", default_value = "512", value_parser = at_least_one)]
    pub(crate) context: usize,

    /// Where to compute: auto, cpu, cuda, cuda:INDEX or metal.
    #[arg(long, default_value = "auto", value_parser = DeviceRequest::from_str)]
    pub(crate) device: DeviceRequest,

    /// Arithmetic of the model.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: DtypeRequest,

    /// Print one JSON object instead of the number.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FramesArgs {
    #[command(flatten)]
    pub(crate) clip: ClipArgs,

    /// Write each sampled frame to this directory as a PNG.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Write all sampled frames to one PNG, in a grid with their numbers and times.
    #[arg(long, value_name = "FILE.png")]
    pub(crate) contact_sheet: Option<PathBuf>,

    /// Pictures show what the vision tower gets: the whole frame squeezed to 384x384.
    #[arg(long)]
    pub(crate) model_view: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) clip: ClipArgs,

    /// Print one JSON object.
    #[arg(long)]
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
