//! What a run of `eval` takes.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use llava_video::checkpoint::ConfigOverride;
use llava_video::eval::protocol::{Protocol, Settings};
use llava_video::eval::results::Scoring;
use llava_video::eval::run::{Manner, Source};
use llava_video::eval::wrapper::FOLDER_FPS;
use llava_video::eval::{Benchmark, Harness, Split};

use super::super::asking::{AskingArgs, CheckpointArgs, DeviceArgs};
use super::super::batch::{CacheUse, GraceArgs, ResumeArgs, SharingArgs, WorkArgs};
use super::super::cache::CacheSizeArgs;
use super::super::clip::FrameArgs;
use super::super::help::heading::{ANSWER, DEVICES, EVALUATION, FRAMES, OUTPUT};
use super::super::named::one_of;
use super::super::values::{at_least_one, positive};

/// The answers themselves say how long they are; without a limit of theirs this one holds.
const MAX_NEW_TOKENS: usize = 1024;

/// What a run of `eval` takes.
#[derive(Debug, Args)]
pub(crate) struct EvalRunArgs {
    /// The benchmark, by its name in lmms-eval; without one, --data holds questions of your own.
    #[arg(value_name = "BENCHMARK", value_parser = one_of::<Benchmark>())]
    pub(crate) benchmark: Option<Benchmark>,

    /// The publisher's folder as it was downloaded, or one annotation file; of your own questions a file of JSON lines.
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) data: PathBuf,

    /// The folder with the videos. [default: that of the data]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) videos: Option<PathBuf>,

    /// File for the records, one line a row; if it exists, the run goes on where that one stopped.
    #[arg(short, long, value_name = "RESULTS.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Run one part of a benchmark that has several, such as moving_count.
    #[arg(long, value_name = "NAME", help_heading = EVALUATION)]
    pub(crate) part: Option<String>,

    /// Which rows: those behind the card's number, or the publisher's other test rows.
    #[arg(long, value_parser = one_of::<Split>(), default_value = "card", help_heading = EVALUATION)]
    pub(crate) split: Split,

    /// Frames, pooling and time instruction.
    #[arg(long, value_parser = one_of::<Protocol>(), default_value = "card", help_heading = EVALUATION)]
    pub(crate) protocol: Protocol,

    /// Use the prompts and parsers of lmms-eval, the authors' harness, as of this date.
    #[arg(long, value_parser = one_of::<Harness>(), default_value = "2024-09", help_heading = EVALUATION)]
    pub(crate) harness: Harness,

    /// How an answer is read.
    #[arg(long, value_parser = one_of::<Scoring>(), default_value = "parse", help_heading = EVALUATION)]
    pub(crate) scoring: Scoring,

    /// Score what is there although rows, videos or answers are missing; the title says so.
    #[arg(long, help_heading = EVALUATION)]
    pub(crate) partial: bool,

    /// Take N frames of a clip in place of the protocol's number.
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one, help_heading = FRAMES)]
    pub(crate) frames: Option<usize>,

    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    /// Decode the answers about N clips together: faster, but takes more memory.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one, help_heading = DEVICES)]
    pub(crate) concurrency: usize,

    /// Whether to use visual tokens that earlier runs kept on disk, and to keep new ones.
    #[arg(long, value_name = "HOW", value_enum, default_value = "read", help_heading = DEVICES)]
    pub(crate) cache: CacheUse,

    #[command(flatten)]
    pub(crate) cache_size: CacheSizeArgs,

    /// Give up a clip when reading it, or answering about it, takes longer than this.
    #[arg(long, value_name = "SECS", value_parser = positive, help_heading = ANSWER)]
    pub(crate) item_timeout: Option<f64>,

    /// Write counts and rates of the run to this file, as one JSON object.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) summary: Option<PathBuf>,

    /// Write the file of answers that a benchmark's server scores to this directory. [default: that of the output]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    pub(crate) submission_dir: Option<PathBuf>,

    /// Print the figures as one JSON object instead of tables.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) resume: ResumeArgs,

    #[command(flatten)]
    pub(crate) grace: GraceArgs,

    #[command(flatten)]
    pub(crate) sharing: SharingArgs,
}

impl EvalRunArgs {
    /// Where the rows come from.
    pub(crate) fn source(&self) -> Source {
        let Self { harness, split, .. } = *self;
        self.benchmark.map_or(Source::Own, |benchmark| Source::Benchmark { benchmark, harness, split })
    }

    /// How the run goes.
    pub(crate) fn manner(&self) -> Manner {
        Manner { protocol: self.protocol, scoring: self.scoring, frames: self.frames }
    }

    /// The folder with the videos.
    pub(crate) fn videos(&self) -> &Path {
        let beside = || match self.data.is_file() {
            true => self.data.parent().unwrap_or(Path::new("")),
            false => &self.data,
        };
        self.videos.as_deref().unwrap_or_else(beside)
    }

    /// How the rows are answered. What the protocol sets stands before the overrides of the command line.
    pub(crate) fn work(&self) -> WorkArgs {
        let Settings { time_instruction, config, sampling: _ } = self.manner().settings();
        let mut checkpoint = self.checkpoint.clone();
        let of_protocol = config.into_iter().map(|(key, value)| ConfigOverride { key: key.to_owned(), value });
        checkpoint.overrides.splice(0..0, of_protocol);
        let asking = AskingArgs {
            frames: FrameArgs::of_inputs(FOLDER_FPS),
            checkpoint,
            time_instruction,
            system: None,
            devices: self.devices.clone(),
            max_new_tokens: MAX_NEW_TOKENS,
            temperature: 0.0,
            top_p: None,
            top_k: None,
            repetition_penalty: None,
            seed: None,
        };
        WorkArgs::of_inputs(asking, self.concurrency, (self.cache, self.cache_size), self.item_timeout)
    }
}
