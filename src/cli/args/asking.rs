//! The arguments that say how questions are asked, which every command that answers shares.

use std::str::FromStr;

use bytesize::ByteSize;
use clap::Args;
use llava_video::checkpoint::ConfigOverride;
use llava_video::device::{DeviceRequest, DtypeRequest};
use llava_video::engine::visual_cache::VisualCache;
use llava_video::engine::{AskOptions, DeviceOptions, EngineOptions, SamplingOptions};
use llava_video::hub::DEFAULT_MODEL;
use llava_video::prompt::TimeInstruction;
use llava_video::quantization::{Quantization, Scheme};

use super::FrameArgs;
use super::help::heading::{ANSWER, DEVICES, MODEL, PROMPT};
use super::models;
use super::named::one_of;
use super::values::{at_least_one, config_override, not_negative, positive, probability, size, whole_number};

/// The environment's default for `--model`.
pub(super) const MODEL_VARIABLE: &str = "LLAVA_VIDEO_MODEL";

/// What has no meaning where the answer is one of several that are given.
pub(super) const CHOICE_CONFLICTS: [&str; 5] = ["temperature", "top_p", "top_k", "seed", "repetition_penalty"];

/// Where the model runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = DEVICES)]
pub(crate) struct DeviceArgs {
    /// Where to compute: auto, cpu, cuda, cuda:INDEX or metal; several with commas share the model's layers.
    #[arg(long, default_value = "auto", value_parser = DeviceRequest::from_str)]
    pub(crate) device: DeviceRequest,

    /// Arithmetic of the model.
    #[arg(long, value_parser = one_of::<DtypeRequest>(), default_value = "auto")]
    pub(crate) dtype: DtypeRequest,

    /// Decoder layers to put on the GPU; the rest runs on the CPU.
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>)]
    pub(crate) gpu_layers: Option<usize>,

    /// Memory to plan with on each device, such as 8GB. [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<ByteSize>,
}

impl DeviceArgs {
    /// The same for the engine.
    pub(crate) fn options(&self) -> DeviceOptions {
        DeviceOptions {
            device: self.device.clone(),
            dtype: self.dtype,
            gpu_layers: self.gpu_layers,
            memory_limit_bytes: self.memory_limit.map(|limit| limit.as_u64()),
        }
    }
}

/// Which checkpoint answers, and how it is held.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckpointArgs {
    /// Checkpoint: a directory, a GGUF file, a repository of the hub (downloaded on first use), or `demo`, a small
    /// built-in model that knows moving shapes.
    #[arg(short, long, value_name = "DIR|FILE|REPO[@REV]|demo", default_value = DEFAULT_MODEL, env = MODEL_VARIABLE)]
    #[arg(help_heading = MODEL, add = models::usable())]
    pub(crate) model: String,

    /// Download nothing, like HF_HUB_OFFLINE=1.
    #[arg(long, help_heading = MODEL)]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) quantize: QuantizeArgs,

    /// Override a key of the checkpoint's config.json, such as mm_spatial_pool_mode=average; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = config_override, help_heading = MODEL)]
    pub(crate) overrides: Vec<ConfigOverride>,
}

/// How questions are asked, whatever is asked about: of which model, about which frames, and how it answers.
#[derive(Debug, Args)]
pub(crate) struct AskingArgs {
    #[command(flatten)]
    pub(crate) frames: FrameArgs,

    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,

    /// Whether to tell the model the times of its frames, and where in the prompt.
    #[arg(long, value_parser = one_of::<TimeInstruction>(), default_value = "none", value_name = "WHERE")]
    #[arg(help_heading = PROMPT)]
    pub(crate) time_instruction: TimeInstruction,

    /// System message; an empty one leaves the block out. [default: the chat template's]
    #[arg(long, value_name = "TEXT", help_heading = PROMPT)]
    pub(crate) system: Option<String>,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    /// Generate at most N tokens.
    #[arg(long, value_name = "N", default_value = "4096", value_parser = at_least_one, help_heading = ANSWER)]
    pub(crate) max_new_tokens: usize,

    /// Randomness of the answer; 0 always takes the likeliest token.
    #[arg(long, value_name = "T", default_value = "0", value_parser = not_negative, help_heading = ANSWER)]
    pub(crate) temperature: f64,

    /// Above temperature 0: sample from the likeliest tokens that reach this probability mass. [default: the
    /// checkpoint's]
    #[arg(long, value_name = "P", value_parser = probability, help_heading = ANSWER)]
    pub(crate) top_p: Option<f64>,

    /// Above temperature 0: sample from this many likeliest tokens. [default: the checkpoint's]
    #[arg(long, value_name = "K", value_parser = at_least_one, help_heading = ANSWER)]
    pub(crate) top_k: Option<usize>,

    /// Make tokens that came before less likely, at any temperature; 1 is off. [default: the checkpoint's]
    #[arg(long, value_name = "X", value_parser = positive, help_heading = ANSWER)]
    pub(crate) repetition_penalty: Option<f64>,

    /// Seed of the random choice above temperature 0. [default: a new one each time]
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>, help_heading = ANSWER)]
    pub(crate) seed: Option<u64>,
}

impl AskingArgs {
    /// How the engine opens the checkpoint, and where it runs.
    pub(crate) fn engine_options(&self, visual_cache: Option<VisualCache>) -> EngineOptions {
        EngineOptions {
            devices: self.devices.options(),
            overrides: self.checkpoint.overrides.clone(),
            scheme: self.checkpoint.quantize.scheme(),
            visual_cache,
        }
    }

    /// How the questions are put.
    pub(crate) fn ask_options(&self) -> AskOptions {
        AskOptions {
            system: self.system.clone(),
            time_instruction: self.time_instruction,
            max_new_tokens: self.max_new_tokens,
        }
    }

    /// How tokens are chosen.
    pub(crate) fn sampling(&self) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

/// In how many bits weights are held.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = MODEL)]
pub(crate) struct QuantizeArgs {
    /// Hold the language model's weights in fewer bits: smaller and faster, less exact.
    #[arg(long, value_parser = one_of::<Quantization>(), value_name = "FORMAT")]
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
