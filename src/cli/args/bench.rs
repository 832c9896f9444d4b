//! The arguments of `bench`.

use std::ffi::OsString;

use clap::{Args, ValueHint};
use llava_video::bench::{BenchOptions, Preset, Stage};
use llava_video::engine::ClipRequest;

use super::asking::{DeviceArgs, QuantizeArgs};
use super::help::heading::{MEASUREMENT, MODEL, OUTPUT};
use super::models;
use super::named::one_of;
use super::values::at_least_one;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Checkpoint to measure: a directory, a GGUF file, a repository that is in the hub cache, or `demo`.
    #[arg(short, long, value_name = "DIR|FILE|REPO[@REV]|demo", conflicts_with = "size")]
    #[arg(help_heading = MODEL, add = models::usable())]
    pub(crate) model: Option<String>,

    /// Without a checkpoint: random weights of this size, made in memory. [default: 0.5b]
    #[arg(long, value_parser = one_of::<Preset>(), value_name = "SIZE", help_heading = MODEL)]
    size: Option<Preset>,

    #[command(flatten)]
    pub(crate) quantize: QuantizeArgs,

    /// Measure these stages only. [default: all that the model has, without the last three, which are parts of others]
    #[arg(long, value_parser = one_of::<Stage>(), value_name = "STAGE,...", value_delimiter = ',')]
    #[arg(help_heading = MEASUREMENT)]
    stages: Vec<Stage>,

    /// Frames for the vision tower and the projector; the stages before them take the largest number.
    #[arg(short = 'n', long, value_name = "N,...", value_delimiter = ',', default_value = "1,8")]
    #[arg(value_parser = at_least_one, help_heading = MEASUREMENT)]
    frames: Vec<usize>,

    /// Lengths of prompts.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "512,2048")]
    #[arg(value_parser = at_least_one, help_heading = MEASUREMENT)]
    prompt_tokens: Vec<usize>,

    /// New tokens after each prompt.
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one, help_heading = MEASUREMENT)]
    new_tokens: usize,

    /// Answers that are decoded together in `batch-decode`.
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one, help_heading = MEASUREMENT)]
    rows: usize,

    /// Runs of each measurement, of which the median counts.
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_least_one, help_heading = MEASUREMENT)]
    repeat: usize,

    /// Measure decoding of this clip, too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = MEASUREMENT)]
    pub(crate) video: Option<OsString>,

    #[command(flatten)]
    devices: DeviceArgs,

    /// Print one JSON object instead of the table.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// Which random weights to measure; none where a checkpoint is named.
    pub(crate) fn preset(&self) -> Option<Preset> {
        self.model.is_none().then(|| self.size.unwrap_or_default())
    }

    /// The stages to measure, of which some may be impossible.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        match (self.stages.is_empty(), self.preset()) {
            (false, _) => self.stages.clone(),
            (true, Some(preset)) => preset.stages(),
            (true, None) => Stage::ALL.into_iter().filter(|stage| !stage.is_part()).collect(),
        }
    }

    /// The longest prompt with the tokens after it.
    pub(crate) fn most_positions(&self) -> usize {
        self.prompt_tokens.iter().max().map_or(0, |tokens| tokens.saturating_add(self.new_tokens))
    }

    /// The same for the library.
    pub(crate) fn options(&self, clip: Option<ClipRequest>) -> BenchOptions {
        BenchOptions {
            devices: self.devices.options(),
            scheme: self.quantize.scheme(),
            stages: self.stages(),
            frames: self.frames.clone(),
            prompt_tokens: self.prompt_tokens.clone(),
            new_tokens: self.new_tokens,
            rows: self.rows,
            repeat: self.repeat,
            clip,
        }
    }
}
