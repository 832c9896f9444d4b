//! The arguments of `batch` and `worker`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use llava_video::batch::sidecar::Format;
use llava_video::batch::{JobFrames, MaxErrors, Windowing};
use llava_video::engine::DEFAULT_FRAMES;

use super::asking::{AskingArgs, CHOICE_CONFLICTS};
use super::cache::CacheSizeArgs;
use super::help::heading::{ANSWER, DEVICES, FRAMES, OUTPUT, PROMPT, RESUME, SHARING};
use super::values::{at_least_one, length, not_negative, positive};

/// The arguments of `batch`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BatchArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BatchCommand>,

    #[command(flatten)]
    pub(crate) run: BatchRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Join the outputs of several runs, each input exactly once, and name what is missing.
    Merge(MergeArgs),
}

/// The arguments of `batch merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Outputs of shards or of claiming processes.
    #[arg(value_name = "OUT.jsonl", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) outputs: Vec<PathBuf>,

    /// The file to write.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// The inputs as lines of JSON: one without a record counts as missing, and records are written in this order.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,

    /// Join this run's records, if the outputs hold those of several.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,

    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// What a run of `batch` takes.
#[derive(Debug, Args)]
pub(crate) struct BatchRunArgs {
    /// Videos, directories of them, or patterns such as 'clips/**/*.mp4'.
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Inputs as lines of JSON, such as {"video": "a.mp4", "question": "Who?"}; `-` reads standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,

    /// Look for videos in all directories below those named, too.
    #[arg(short, long)]
    pub(crate) recursive: bool,

    /// File for the records, one line an input; if it exists, the run goes on where that one stopped.
    #[arg(short, long, value_name = "OUT.jsonl", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "check")]
    pub(crate) output: Option<PathBuf>,

    /// Only check the inputs, and that their files exist.
    #[arg(long)]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Write records in the order of the inputs, not as they finish.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) ordered: bool,

    /// Flush each record to the disk before the next; otherwise once a second.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) fsync: bool,

    /// Also write each clip's answers to files beside it: txt, json, srt, vtt.
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',', help_heading = OUTPUT)]
    pub(crate) sidecar: Vec<Format>,

    /// Put the files of --sidecar below this directory instead, in the same subdirectories as the clips.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "sidecar", help_heading = OUTPUT)]
    pub(crate) output_dir: Option<PathBuf>,

    /// Replace files of --sidecar that exist; otherwise a clip that has all of them is skipped.
    #[arg(long, requires = "sidecar", help_heading = OUTPUT)]
    pub(crate) overwrite: bool,

    /// Write counts and rates of the run to this file, as one JSON object.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) summary: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) resume: ResumeArgs,

    #[command(flatten)]
    pub(crate) grace: GraceArgs,

    #[command(flatten)]
    pub(crate) sharing: SharingArgs,
}

/// The arguments of `worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Write records in the order of the lines, not as they finish.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) ordered: bool,

    #[command(flatten)]
    pub(crate) grace: GraceArgs,
}

/// What becomes of failures, and of an output that is there.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Exit with 0 if no more inputs than this failed: a number, or a share such as 2.5%.
    #[arg(long, value_name = "N|P%", default_value = "0", help_heading = RESUME)]
    pub(crate) max_errors: MaxErrors,

    /// Try again what failed for a lasting reason, such as a damaged clip; other failures are tried again anyway.
    #[arg(long, help_heading = RESUME)]
    pub(crate) retry_errors: bool,

    /// Append to an output that another model, other options or other questions wrote.
    #[arg(long, conflicts_with = "force", help_heading = RESUME)]
    pub(crate) new_digest: bool,

    /// Start over; the records in the output are lost.
    #[arg(long, help_heading = RESUME)]
    pub(crate) force: bool,
}

/// How inputs are shared out among processes.
#[derive(Debug, Args)]
pub(crate) struct SharingArgs {
    /// Answer share K of N, counted from 0; `auto` reads it from the variables of Slurm or AWS Batch, `auto/N` also
    /// from those of Kubernetes.
    #[arg(long, value_name = "K/N|auto[/N]", help_heading = SHARING)]
    pub(crate) shard: Option<String>,

    /// Share the inputs with other processes through this directory; each writes an output of its own.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = SHARING)]
    #[arg(conflicts_with_all = ["shard", "force"])]
    pub(crate) claim: Option<PathBuf>,
}

/// How long a stop may take.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct GraceArgs {
    /// After SIGTERM, give answers that have begun this many seconds to finish.
    #[arg(long, value_name = "SECS", default_value = "30", value_parser = not_negative, help_heading = RESUME)]
    grace: f64,
}

impl GraceArgs {
    pub(crate) fn time(self) -> Duration {
        Duration::try_from_secs_f64(self.grace).unwrap_or(Duration::MAX)
    }
}

/// How inputs are answered, by `batch` and by `worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// What to ask about every video whose line has no question; repeatable.
    #[arg(short = 'Q', long, value_name = "TEXT", help_heading = PROMPT)]
    pub(crate) question: Vec<OsString>,

    /// Read such questions from a file, one a line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = PROMPT)]
    pub(crate) questions: Option<PathBuf>,

    /// Answer with the likeliest of these, and record how likely each is.
    #[arg(long, value_name = "TEXT,...", value_delimiter = ',', help_heading = ANSWER)]
    #[arg(conflicts_with_all = CHOICE_CONFLICTS)]
    pub(crate) choices: Vec<String>,

    /// Read the choices from a file, one a line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = ANSWER)]
    #[arg(conflicts_with = "choices", conflicts_with_all = CHOICE_CONFLICTS)]
    pub(crate) choices_file: Option<PathBuf>,

    /// Ask about each window of this length, such as 10s or 1m, instead of the whole clip.
    #[arg(long, value_name = "LENGTH", value_parser = length, conflicts_with = "at", help_heading = FRAMES)]
    window: Option<f64>,

    /// From the start of a window to the start of the next. [default: the window's length]
    #[arg(long, value_name = "LENGTH", value_parser = length, requires = "window", help_heading = FRAMES)]
    stride: Option<f64>,

    /// Give up an input when reading its clip, or answering, takes longer than this.
    #[arg(long, value_name = "SECS", value_parser = positive, help_heading = ANSWER)]
    item_timeout: Option<f64>,

    /// Decode the answers about N clips together: faster, but takes more memory.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one, help_heading = DEVICES)]
    pub(crate) concurrency: usize,

    /// Whether to use visual tokens kept on disk, and to keep new ones.
    #[arg(long, value_name = "HOW", value_enum, default_value = "read", help_heading = DEVICES)]
    pub(crate) cache: CacheUse,

    #[command(flatten)]
    pub(crate) cache_size: CacheSizeArgs,

    #[command(flatten)]
    pub(crate) asking: AskingArgs,
}

/// What a batch does with the cache of visual tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheUse {
    /// Use what is there, keep nothing.
    Read,
    /// Use and keep: 166 MB for a clip of 110 frames of the 7B model.
    Write,
    /// Neither.
    Off,
}

impl WorkArgs {
    /// Where every input has its questions, and whole clips are asked about.
    pub(super) fn of_inputs(
        asking: AskingArgs,
        concurrency: usize,
        (cache, cache_size): (CacheUse, CacheSizeArgs),
        item_timeout: Option<f64>,
    ) -> Self {
        let (question, questions, choices, choices_file) = (Vec::new(), None, Vec::new(), None);
        let (window, stride) = (None, None);
        Self {
            question,
            questions,
            choices,
            choices_file,
            window,
            stride,
            item_timeout,
            concurrency,
            cache,
            cache_size,
            asking,
        }
    }

    /// The windows, if clips are cut.
    pub(crate) fn windowing(&self) -> Option<Windowing> {
        let window_secs = self.window?;
        Some(Windowing { window_secs, stride_secs: self.stride.unwrap_or(window_secs) })
    }

    pub(crate) fn item_timeout(&self) -> Option<Duration> {
        // What no clock can hold is no limit.
        self.item_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }

    /// The most frames of any input that does not say it.
    pub(crate) fn frames(&self) -> JobFrames {
        self.asking.frames.job_frames()
    }
}

/// Frames of the largest input.
pub(crate) fn most_frames<'a>(run: &JobFrames, jobs: impl Iterator<Item = &'a JobFrames>) -> usize {
    let frames = |job: &JobFrames| match (job.moments_secs.len(), run.moments_secs.len()) {
        (0, 0) => job.max_frames.or(run.max_frames).unwrap_or(DEFAULT_FRAMES),
        (0, run) => run.max(job.max_frames.unwrap_or(0)),
        (job, _) => job,
    };
    jobs.map(frames).max().unwrap_or_else(|| frames(&JobFrames::default()))
}
