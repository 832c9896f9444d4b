//! How long a request will take on the CPU: its arithmetic counted, this machine's speed measured for a moment.

use std::time::{Duration, Instant};

use candle_core::{Result, Tensor};

use crate::checkpoint::Checkpoint;
use crate::device::Placement;

/// Floating-point operations of one request, decode steps left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Vision tower and projector, per distinct frame.
    pub vision_flops_per_frame: f64,
    /// Prefill of a prompt of a given length.
    prefill_flops_per_token: f64,
    prefill_flops_per_token_pair: f64,
}

impl Work {
    /// Counts the matrix products that this checkpoint needs (two operations per multiplication).
    pub fn of(checkpoint: &Checkpoint) -> Self {
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
    pub fn flops(&self, distinct_frames: usize, prompt_tokens: usize) -> f64 {
        let tokens = prompt_tokens as f64;
        let prefill = tokens * (self.prefill_flops_per_token + tokens * self.prefill_flops_per_token_pair);
        distinct_frames as f64 * self.vision_flops_per_frame + prefill
    }
}

/// Share of a plain matrix product's speed that whole stages reach: softmax, norms and copies take the rest.
const SUSTAINED_SHARE: f64 = 0.6;

/// The speed that long stages reach on this machine, in floating-point operations per second: a plain product measured
/// for about 50 ms, less what is lost between products.
///
/// # Errors
/// A failing device.
pub fn sustained_flops_per_sec(placement: &Placement) -> Result<f64> {
    const SIDE: usize = 768;
    let matrix = Tensor::ones((SIDE, SIDE), placement.dtype, &placement.device)?;
    matrix.matmul(&matrix)?;
    let started = Instant::now();
    let mut products = 0u32;
    while started.elapsed() < Duration::from_millis(50) {
        matrix.matmul(&matrix)?;
        products += 1;
    }
    let operations = f64::from(products) * 2.0 * (SIDE * SIDE * SIDE) as f64;
    Ok(SUSTAINED_SHARE * operations / started.elapsed().as_secs_f64())
}
