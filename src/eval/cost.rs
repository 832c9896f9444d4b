//! What running a benchmark costs on one GPU of 80 GB: computed from the model's arithmetic, not measured.

use super::Benchmark;
use super::list::facts;
use crate::bench::Preset;
use crate::checkpoint::Checkpoint;
use crate::engine::Work;
use crate::{Error, model};

/// The GPU that is meant.
pub const GPU: &str = "NVIDIA A100 80GB";

/// What its maker gives for dense products in bf16.
pub const PEAK_FLOPS_PER_SEC: f64 = 312e12;

/// The share of that which tower and prefill are taken to reach: an assumption.
pub const UTILISATION: f64 = 0.4;

/// Positions of a prompt beside the visual tokens: chat template, question and options. An assumption.
pub const TEXT_TOKENS: usize = 120;

/// What a run costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Frames of each clip.
    pub frames: usize,
    /// Positions of a prompt.
    pub prompt_tokens: usize,
    /// Floating-point operations of the whole run.
    pub flops: f64,
    /// Hours on [`GPU`].
    pub gpu_hours: f64,
}

/// The cost of a benchmark with the 7B model and `frames` frames of each clip.
///
/// Of each video, every frame goes through the vision tower (SigLIP-SO400M at 384 pixels; the released checkpoints
/// leave out its last layer) and the projector, and the prompt of visual tokens and [`TEXT_TOKENS`] through the 28
/// decoder layers of Qwen2-7B, attention included. Further questions about the same video find its visual tokens in the
/// KV cache, so that they cost their own text alone; where the number of videos is not known, each question is counted
/// with one of its own. Hours are these operations over [`PEAK_FLOPS_PER_SEC`] times [`UTILISATION`].
///
/// Reading clips and generating answers are left out: an answer of a letter is a token or two, and a description of 200
/// tokens takes a few seconds of reading weights.
///
/// # Errors
/// The model's sizes do not fit each other.
pub fn cost(benchmark: Benchmark, frames: usize) -> Result<Cost, Error> {
    let checkpoint = Checkpoint::open(Preset::SevenB.source(), &[])?;
    let (work, visual) = (Work::of(&checkpoint), model::video_tokens(&checkpoint)?.count(frames));
    let facts = facts(benchmark);
    let prompt_tokens = visual + TEXT_TOKENS;
    let first = work.flops(frames, prompt_tokens);
    let further = work.flops(0, prompt_tokens) - work.flops(0, visual);
    let videos = facts.videos.unwrap_or(facts.rows).min(facts.rows);
    let flops = videos as f64 * first + (facts.rows - videos) as f64 * further;
    Ok(Cost { frames, prompt_tokens, flops, gpu_hours: flops / (PEAK_FLOPS_PER_SEC * UTILISATION) / 3600.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a frame is 729 patches in 26 layers of 4 * 1152^2 + 2 * 1152 * 4304 weights, and two matrices of the
    /// projector; a position has 28 layers of 2 * 3584^2 + 2 * 3584 * 512 + 3 * 3584 * 18944 weights.
    #[test]
    fn one_video_is_what_its_products_are() {
        let frame = 2.0 * 729.0 * (26.0 * (15_224_832.0 + 2.0 * 729.0 * 1152.0) + 1152.0 * 3584.0 + 3584.0 * 3584.0);
        let tokens = 64.0 * 14.0 * 15.0 + 120.0;
        let layers = 2.0 * 28.0 * (25_690_112.0 + 3_670_016.0 + 203_685_888.0);
        let prefill = tokens * layers + tokens * tokens * 2.0 * 28.0 * 3584.0;
        let one = 64.0 * frame + prefill;
        let found = cost(Benchmark::EgoSchema, 64).unwrap();
        assert_eq!(found.prompt_tokens, 13_560);
        assert!((found.flops / (5031.0 * one) - 1.0).abs() < 1e-9, "{} of {}", found.flops / 5031.0, one);
        assert!((found.gpu_hours - found.flops / 124.8e12 / 3600.0).abs() < 1e-9);
    }

    #[test]
    fn further_questions_cost_little_and_more_frames_more() {
        let of = |benchmark, frames| cost(benchmark, frames).unwrap().flops;
        // 900 videos with three questions each.
        let (shared, each) = (of(Benchmark::VideoMme, 64) / 900.0, of(Benchmark::EgoSchema, 64) / 5031.0);
        assert!(shared > each && shared < 1.05 * each, "{shared} {each}");
        for benchmark in Benchmark::ALL {
            assert!(of(benchmark, 110) > 1.7 * of(benchmark, 64), "{benchmark}");
        }
    }
}
