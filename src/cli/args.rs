//! What can be typed: commands and flags, checked for range here and for nothing else.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use llava_video::checkpoint::{ConfigOverride, is_known_key};
use llava_video::device::{DeviceRequest, DtypeRequest, built_in_features};
use llava_video::hub::DEFAULT_MODEL;
use llava_video::prompt::TimeInstruction;
use llava_video::quantization::{Quantization, Scheme};
use llava_video::video::{SamplePolicy, ffmpeg_versions};

use super::exit::UsageError;

/// Program, FFmpeg and features, as `--version` prints them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = match built_in_features() {
        none if none.is_empty() => "none".to_owned(),
        some => some.join(", "),
    };
    format!("{}\nFFmpeg: {}\nfeatures: {features}", env!("CARGO_PKG_VERSION"), ffmpeg_versions())
});

/// The hidden command that reads a clip in a process of its own.
pub(crate) const DECODE_WORKER: &str = "decode-worker";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated.";

const ASK_USAGE: &str = "\
llava-video ask [OPTIONS] VIDEO QUESTION
       llava-video ask [OPTIONS] PICTURE... QUESTION
       llava-video ask [OPTIONS] --no-video QUESTION";

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
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Read one clip for the process that started this one.
    #[command(name = DECODE_WORKER, hide = true)]
    DecodeWorker,
}

/// Which frames of a clip are taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    /// Sampled from those that appear from `start_secs` on and before `end_secs`.
    Part { start_secs: f64, end_secs: f64, policy: SamplePolicy },
    /// Those shown at these moments, in seconds, ascending.
    Moments(Vec<f64>),
}

/// Which clip, and which of its frames are taken.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClipArgs {
    /// The video or picture: a file, a directory of pictures as a video, or `-` for standard input.
    #[arg(value_name = "VIDEO")]
    pub(crate) video: OsString,

    /// Take exactly N frames, uniform over the whole clip (a short clip repeats some); with --fps, at most N.
    #[arg(long, value_name = "N", default_value = "110", value_parser = at_least_one)]
    frames: usize,

    /// Take one frame every round(rate / R) instead, unless that gives more than --frames.
    #[arg(long, value_name = "R", value_parser = positive)]
    fps: Option<f64>,

    /// Use the clip from here on: seconds, or h:mm:ss.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start: Option<f64>,

    /// Use the clip up to here, this moment not included.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end: Option<f64>,

    /// Take the frames shown at these moments instead.
    #[arg(long, value_name = "TIME,...", value_parser = moment, value_delimiter = ',')]
    #[arg(conflicts_with_all = ["frames", "fps", "start", "end"])]
    at: Vec<f64>,

    /// Frames per second of a directory of pictures.
    #[arg(long, value_name = "R", default_value = "1", value_parser = positive)]
    pub(crate) image_fps: f64,

    /// Refuse a damaged clip instead of using what can be decoded.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Give a clip up when opening or reading it takes longer. [default: scaled with the clip]
    #[arg(long, value_name = "SECS", value_parser = positive)]
    decode_timeout: Option<f64>,
}

impl ClipArgs {
    /// The same for another file.
    pub(crate) fn with_video(&self, video: &OsStr) -> Self {
        Self { video: video.to_owned(), ..self.clone() }
    }

    /// Which frames to take.
    pub(crate) fn selection(&self) -> Result<Selection, UsageError> {
        if !self.at.is_empty() {
            let mut moments = self.at.clone();
            moments.sort_by(f64::total_cmp);
            return Ok(Selection::Moments(moments));
        }
        let (start, end) = (self.start.unwrap_or(0.0), self.end.unwrap_or(f64::INFINITY));
        match start < end {
            true => Ok(Selection::Part { start_secs: start, end_secs: end, policy: self.policy() }),
            false => Err(UsageError(format!("--start {start} is not before --end {end}"))),
        }
    }

    /// A flag that was given and that only videos have a meaning for.
    pub(crate) fn time_flag(&self) -> Option<&'static str> {
        let given = [("--fps", self.fps.is_some()), ("--start", self.start.is_some()), ("--end", self.end.is_some())];
        let given = given.into_iter().chain([("--at", !self.at.is_empty())]);
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        // What no clock can hold is no limit.
        self.decode_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }

    fn policy(&self) -> SamplePolicy {
        SamplePolicy { max_frames: self.frames, fps: self.fps }
    }
}

/// Where the model runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArgs {
    /// Where to compute: auto, cpu, cuda, cuda:INDEX or metal; several with commas share the model's layers.
    #[arg(long, default_value = "auto", value_parser = DeviceRequest::from_str)]
    pub(crate) device: DeviceRequest,

    /// Arithmetic of the model.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: DtypeRequest,

    /// Decoder layers to put on the GPU; the rest runs on the CPU.
    #[arg(long, value_name = "N")]
    pub(crate) gpu_layers: Option<usize>,

    /// Memory to plan with on each device, such as 8GB. [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::from_str)]
    pub(crate) memory_limit: Option<ByteSize>,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) clip: ClipArgs,

    /// The question, last of all; `-` reads it from standard input. Before it, more pictures if the first is one.
    #[arg(value_name = "QUESTION", required_unless_present = "no_video")]
    rest: Vec<OsString>,

    /// Checkpoint: a directory, a GGUF file, or a repository of the hub, which is downloaded on first use.
    #[arg(long, value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,

    /// Download nothing, as HF_HUB_OFFLINE=1 does.
    #[arg(long)]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) quantize: QuantizeArgs,

    /// Tell the model when its frames were taken, and where in the prompt.
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    pub(crate) time_instruction: TimeInstruction,

    /// System message; empty leaves the block out. [default: the chat template's sentence]
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,

    /// Ask the language model alone.
    #[arg(long)]
    pub(crate) no_video: bool,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    /// Print what memory the request takes on each device, and stop before anything is loaded.
    #[arg(long, conflicts_with_all = ["json", "timings", "dump_tensors"])]
    pub(crate) dry_run: bool,

    /// Most tokens to generate.
    #[arg(long, value_name = "N", default_value = "4096", value_parser = at_least_one)]
    pub(crate) max_new_tokens: usize,

    /// Randomness of the answer; 0 always takes the likeliest token.
    #[arg(long, value_name = "T", default_value = "0", value_parser = not_negative)]
    pub(crate) temperature: f64,

    /// Above temperature 0: sample from the likeliest tokens that reach this probability mass. [default: the checkpoint's]
    #[arg(long, value_name = "P", value_parser = probability)]
    pub(crate) top_p: Option<f64>,

    /// Above temperature 0: sample from this many likeliest tokens. [default: the checkpoint's]
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub(crate) top_k: Option<usize>,

    /// Make tokens already generated less likely, at any temperature; 1 is off. [default: the checkpoint's]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) repetition_penalty: Option<f64>,

    /// Seed of the random choice above temperature 0. [default: drawn anew each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Override a key of the checkpoint's config.json, such as mm_spatial_pool_mode=average; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = config_override)]
    pub(crate) overrides: Vec<ConfigOverride>,

    /// Print one JSON object instead of the answer alone.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print how long each stage took, on stderr.
    #[arg(long)]
    pub(crate) timings: bool,

    /// Write the tensors of every stage to a safetensors file, to compare with the reference.
    #[arg(long, value_name = "FILE")]
    pub(crate) dump_tensors: Option<PathBuf>,
}

impl AskArgs {
    /// What is asked about, in order, and the question. With `--no-video` a lone argument is the question.
    pub(crate) fn inputs_and_question(&self) -> (Vec<&OsStr>, &OsStr) {
        let mut inputs: Vec<&OsStr> =
            std::iter::once(&self.clip.video).chain(&self.rest).map(OsString::as_os_str).collect();
        let question = inputs.pop().unwrap_or_default();
        (inputs, question)
    }
}

/// In how many bits weights are held.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct QuantizeArgs {
    /// Hold the language model's weights in fewer bits; smaller and faster, less exact.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) quantize: Option<Quantization>,

    /// Quantize the vision tower and the projector, too.
    #[arg(long, requires = "quantize")]
    quantize_vision: bool,
}

impl QuantizeArgs {
    pub(crate) fn scheme(self) -> Option<Scheme> {
        self.quantize.map(|quantization| Scheme { quantization, vision: self.quantize_vision })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ModelQuantizeArgs {
    /// Checkpoint: a directory, or a repository of the hub, which is downloaded on first use.
    #[arg(value_name = "DIR|REPO[@REV]")]
    pub(crate) model: String,

    /// The file to write.
    #[arg(short, long, value_name = "FILE.gguf")]
    pub(crate) output: PathBuf,

    /// Format of the language model's weights.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "q4_k")]
    pub(crate) quantize: Quantization,

    /// Quantize the vision tower and the projector, too.
    #[arg(long)]
    pub(crate) quantize_vision: bool,

    /// Replace the file if it is there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// The text, UTF-8: scored by the language model alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) text_only: PathBuf,

    /// Checkpoint: a directory, a GGUF file, or a repository that is in the hub cache; also a plain Qwen2 model.
    #[arg(long, value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL)]
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

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Download a checkpoint from the hub, or what is missing of it, and print the directory that holds it.
    #[command(after_help = HUB_VARIABLES)]
    Pull(PullArgs),
    /// List cached checkpoints, and known ones that could be downloaded.
    List(ListArgs),
    /// Print what a checkpoint is, and what memory it takes by frames and dtype. Reads its headers only.
    Info(InfoArgs),
    /// Write a checkpoint to one GGUF file of fewer bits: tower, language model, tokenizer and config.
    Quantize(ModelQuantizeArgs),
    /// Compare the cached files with their checksums.
    Verify(VerifyArgs),
    /// Remove a checkpoint, or one revision of it, from the cache.
    Rm(RmArgs),
}

const HUB_VARIABLES: &str = "Environment: HF_HOME or HF_HUB_CACHE (where models are kept), HF_TOKEN (access token; else \
    the file that `hf auth login` writes), HF_ENDPOINT (another server), HF_HUB_OFFLINE=1, HF_HUB_DOWNLOAD_TIMEOUT \
    (seconds without a byte before a connection is given up), HTTPS_PROXY and NO_PROXY.";

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Repository of the hub, at a branch, tag or commit.
    #[arg(value_name = "REPO[@REV]", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,

    /// Open no connection; succeed only if all is cached.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Give up after this many failures in a row without a byte of progress. [default: 8]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// A directory, a GGUF file, or a repository that is cached.
    #[arg(value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A repository that is cached.
    #[arg(value_name = "REPO[@REV]", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,

    /// Download damaged files again.
    #[arg(long)]
    pub(crate) repair: bool,

    /// Open no connection.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// A repository that is cached; with a revision, what only this revision needs.
    #[arg(value_name = "REPO[@REV]")]
    pub(crate) model: String,

    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a whole number above 0".to_owned())
}

/// Seconds, or hours, minutes and seconds with colons between them.
fn moment(text: &str) -> Result<f64, String> {
    let wrong = || "expected seconds or h:mm:ss".to_owned();
    let mut parts = text.rsplit(':');
    let secs = not_negative(parts.next().unwrap_or_default()).map_err(|_| wrong())?;
    let mut total = secs;
    for unit_secs in [60.0, 3600.0] {
        let Some(part) = parts.next() else { return Ok(total) };
        if total >= unit_secs || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        total += unit_secs * part.parse::<f64>().map_err(|_| wrong())?;
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(total) }
}

fn number(text: &str, accept: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && accept(*x)).ok_or_else(|| format!("expected {expected}"))
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of 0 or more")
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 1.0, "a number above 0 and at most 1")
}

/// The value is JSON where it parses as such, else a string, so that quotes are not needed.
fn config_override(text: &str) -> Result<ConfigOverride, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if !is_known_key(key) {
        return Err(format!("`{key}` is not a config key that this program reads"));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
    Ok(ConfigOverride { key: key.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in ["0", "-1", "NaN", "inf", "x", ""] {
            assert!(positive(wrong).is_err(), "{wrong}");
            assert!(at_least_one(wrong).is_err(), "{wrong}");
        }
        assert!(probability("1.5").is_err() && probability("1").is_ok());
        assert!(not_negative("-0.1").is_err() && not_negative("0").is_ok());
    }

    #[test]
    fn moments_are_seconds_or_clock_times() {
        for (text, secs) in [("0", 0.0), ("12.5", 12.5), ("90", 90.0), ("1:30", 90.0), ("1:02:03.25", 3723.25)] {
            assert_eq!(moment(text), Ok(secs), "{text}");
        }
        for wrong in ["", ":", "1:", ":1", "1:60", "1:60:00", "-1", "1:-1", "1:2:3:4", "NaN", "inf", "1,5", "1h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn overrides_need_no_quotes_but_a_known_key() {
        let parsed = config_override("mm_spatial_pool_mode=average").expect("a known key");
        assert_eq!(parsed.value, serde_json::json!("average"));
        assert_eq!(config_override("mm_spatial_pool_stride=3").expect("known").value, serde_json::json!(3));
        assert!(config_override("pool=average").is_err());
        assert!(config_override("mm_spatial_pool_mode").is_err());
    }
}
