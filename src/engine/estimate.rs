//! How long a request will take on the CPU: its arithmetic counted, this machine's speed measured for a moment.

use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::error::Error;
use super::media::Media;
use super::plan::{SizedPrompt, Views};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement};
use crate::linear::{self, Pass};
use crate::model;

/// Floating-point operations of one request, decode steps left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Work {
    /// Vision tower and projector, per distinct frame.
    vision_flops_per_frame: f64,
    /// Prefill of a prompt of a given length.
    prefill_flops_per_token: f64,
    prefill_flops_per_token_pair: f64,
}

impl Work {
    /// Counts the matrix products that this checkpoint needs (two operations per multiplication).
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        let vision = checkpoint.vision;
        let (patches, width) = ((vision.grid() * vision.grid()) as f64, vision.hidden_size as f64);
        let tower_mlp = checkpoint.tower_mlp_width() as f64;
        let tower_layer = 2.0 * patches * (4.0 * width * width + 2.0 * width * tower_mlp + 2.0 * patches * width);
        let language = &checkpoint.config.language;
        let (hidden, mlp) = (language.hidden_size as f64, language.intermediate_size as f64);
        let kv = (language.num_kv_heads * language.head_dim()) as f64;
        let layers = language.num_layers as f64;
        let projector =
            2.0 * patches * (width * hidden + (checkpoint.projector.layers.len() as f64 - 1.0) * hidden * hidden);
        Self {
            vision_flops_per_frame: vision.num_layers as f64 * tower_layer + projector,
            prefill_flops_per_token: layers * 2.0 * (2.0 * hidden * hidden + 2.0 * hidden * kv + 3.0 * hidden * mlp),
            // A position attends to half of all positions on average, for scores and for values.
            prefill_flops_per_token_pair: layers * 2.0 * hidden,
        }
    }

    /// Operations until the first token: `distinct_frames` through the tower, `prompt_tokens` through the decoder.
    pub(crate) fn flops(&self, distinct_frames: usize, prompt_tokens: usize) -> f64 {
        let tokens = prompt_tokens as f64;
        let prefill = tokens * (self.prefill_flops_per_token + tokens * self.prefill_flops_per_token_pair);
        distinct_frames as f64 * self.vision_flops_per_frame + prefill
    }
}

/// Share of a plain matrix product's speed that whole stages reach: attention, norms and the like take the rest.
const SUSTAINED_SHARE: f64 = 0.9;

/// The speed that long stages reach on this machine, in floating-point operations per second: a product as the tower
/// has it measured for about 50 ms, less what is lost between products.
///
/// # Errors
/// A failing device.
fn sustained_flops_per_sec(placement: &Placement) -> candle_core::Result<f64> {
    const ROWS: usize = 384;
    const SIDE: usize = 1152;
    let weight = linear::of_zeros(SIDE, SIDE, placement)?;
    let x = Tensor::ones((ROWS, SIDE), placement.dtype, &placement.device)?;
    weight.forward(&x, Pass::Prefill)?;
    let started = Instant::now();
    let mut products = 0u32;
    while started.elapsed() < Duration::from_millis(50) {
        weight.forward(&x, Pass::Prefill)?;
        products += 1;
    }
    let operations = f64::from(products) * 2.0 * (ROWS * SIDE * SIDE) as f64;
    Ok(SUSTAINED_SHARE * operations / started.elapsed().as_secs_f64())
}

/// Work on a CPU that takes longer than this is worth telling about.
const LONG_WORK_SECS: f64 = 60.0;

/// How long a long answer will take to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongWork {
    /// Seconds until the first token.
    pub secs: f64,
    /// A smaller number of frames, and the seconds with it: the largest half, quarter, ... that stays under a minute,
    /// else a single frame.
    pub fewer_frames: Option<(usize, f64)>,
}

/// How long work on CPUs alone will take, if that is long; `None` where a GPU takes part.
///
/// # Errors
/// A failing device.
pub(super) fn long_work(
    checkpoint: &Checkpoint,
    media: &Media,
    views: Views,
    prompt: &SizedPrompt,
    devices: &DeviceMap,
) -> Result<Option<LongWork>, Error> {
    let placement = devices.placement(devices.vision_slot());
    if !devices.slots().iter().all(|slot| slot.device.is_cpu()) {
        return Ok(None);
    }
    let work = Work::of(checkpoint);
    let flops = work.flops(views.distinct, prompt.tokens);
    // Below this no machine takes a minute, and measuring would only cost time.
    if flops < LONG_WORK_SECS * 1e9 {
        return Ok(None);
    }
    let rate = sustained_flops_per_sec(placement)?;
    let secs = flops / rate;
    if secs < LONG_WORK_SECS {
        return Ok(None);
    }
    let Some(clip) = media.clip() else { return Ok(Some(LongWork { secs, fewer_frames: None })) };
    let rule = model::video_tokens(checkpoint)?;
    let text_tokens = prompt.tokens - prompt.visual_tokens;
    let secs_with = |frames: usize| {
        let distinct = frames.min(clip.info().frame_count);
        work.flops(distinct, text_tokens + rule.count(frames)) / rate
    };
    let halves = std::iter::successors(Some(clip.plan().indices.len() / 2), |n| Some(n / 2)).take_while(|&n| n > 0);
    let fewer = halves.clone().find(|&n| secs_with(n) < LONG_WORK_SECS).or(halves.last());
    Ok(Some(LongWork { secs, fewer_frames: fewer.map(|frames| (frames, secs_with(frames))) }))
}
