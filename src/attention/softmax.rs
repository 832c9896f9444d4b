//! Softmax over rows of scores, each row seeing all keys or only those up to its own position.
//!
//! On the CPU it runs in place over both cores with a vectorised exponential; candle's own broadcast mask and scalar
//! exponential took most of a long prefill. Other devices use candle's kernels.

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor};
use rayon::prelude::*;

/// Which keys the rows of `[B, R, L]` scores see.
#[derive(Debug, Clone, Copy)]
pub(super) enum Visible<'m> {
    /// All of them.
    All,
    /// Rows repeat a block of consecutive positions; the last of the block sees all keys, each before it one fewer.
    Causal {
        /// Positions in the block; R is a multiple of it.
        block_rows: usize,
        /// `[block_rows, block_rows]`, added to the scores of the block's own positions, for devices that add a mask.
        diagonal: Option<&'m Tensor>,
    },
}

/// Softmax of each row over the keys it sees; the other keys get weight 0. Scores are `[B, R, L]` in f32. On a GPU it
/// is made by candle's kernels, and what rows do not see is masked.
pub(super) fn rows(scores: Tensor, visible: Visible<'_>, is_gpu: bool) -> Result<Tensor> {
    let (block_rows, diagonal) = match visible {
        Visible::All => (None, None),
        Visible::Causal { block_rows, diagonal } => (Some(block_rows), diagonal),
    };
    if !is_gpu {
        let scores = scores.contiguous()?;
        scores.inplace_op1(&RowSoftmax { keys: scores.dim(2)?, block_rows })?;
        return Ok(scores);
    }
    if let Some(diagonal) = diagonal {
        let own = diagonal.dim(0)?;
        let (batch, rows, keys) = scores.dims3()?;
        let blocks = scores.reshape((batch * rows / own, own, keys))?;
        // In place, and nowhere else: the keys before the block are seen by all of its rows.
        let masked = blocks.narrow(2, keys - own, own)?.broadcast_add(diagonal)?;
        blocks.slice_set(&masked, 2, keys - own)?;
    }
    match block_rows {
        // The kernel of one row's length takes a warp for each row, of which a decode step has few.
        Some(1) => candle_nn::ops::softmax(&scores, candle_core::D::Minus1),
        _ => candle_nn::ops::softmax_last_dim(&scores),
    }
}

struct RowSoftmax {
    keys: usize,
    block_rows: Option<usize>,
}

impl RowSoftmax {
    /// Keys that a row sees.
    fn visible(&self, row: usize) -> usize {
        match self.block_rows {
            None => self.keys,
            Some(block_rows) => self.keys - (block_rows - 1 - row % block_rows),
        }
    }
}

impl InplaceOp1 for RowSoftmax {
    fn name(&self) -> &'static str {
        "row-softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(scores), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("row softmax: expected contiguous {:?}", DType::F32);
        };
        // A few rows at a time, so that short rows do not cost a task each.
        let rows_per_task = (1usize << 14).div_ceil(self.keys);
        scores[start..end].par_chunks_mut(rows_per_task * self.keys).enumerate().for_each(|(task, rows)| {
            for (index, row) in rows.chunks_exact_mut(self.keys).enumerate() {
                let (seen, unseen) = row.split_at_mut(self.visible(task * rows_per_task + index));
                softmax(seen);
                unseen.fill(0.0);
            }
        });
        Ok(())
    }
}

/// Softmax of one row, in place, with the widest vectors this machine has.
fn softmax(row: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { softmax_avx512(row) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features were just detected.
            return unsafe { softmax_avx2(row) };
        }
    }
    softmax_lanes::<4>(row);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn softmax_avx512(row: &mut [f32]) {
    softmax_lanes::<16>(row);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn softmax_avx2(row: &mut [f32]) {
    softmax_lanes::<8>(row);
}

/// The same in lanes of N, which the compiler turns into vectors of the features of whoever calls it.
#[inline(always)]
fn softmax_lanes<const N: usize>(row: &mut [f32]) {
    let (lanes, rest) = row.as_chunks_mut::<N>();
    let mut maxima = [f32::NEG_INFINITY; N];
    for lane in lanes.iter() {
        for (max, &x) in maxima.iter_mut().zip(lane) {
            *max = if x > *max { x } else { *max };
        }
    }
    let max = maxima.iter().chain(rest.iter()).fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
    let mut sums = [0f32; N];
    for lane in lanes.iter_mut() {
        for (sum, x) in sums.iter_mut().zip(lane) {
            *x = exp(*x - max);
            *sum += *x;
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for x in rest.iter_mut() {
        *x = exp(*x - max);
        sum += *x;
    }
    let scale = 1.0 / sum;
    row.iter_mut().for_each(|x| *x *= scale);
}

/// e^x for x <= 0, to about one unit in the last place: 2^n times a polynomial on half an octave around 0. Written
/// without calls or branches, so that it becomes vector instructions. NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding and subtracting this rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first short enough that its product with a whole number is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Below this the result is not a normal number; it is 0 for every use.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    // Taylor's series to the sixth power: on |r| <= ln 2 / 2 the rest is below 2e-8.
    let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn exp_is_exact_to_the_last_digits() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - expected).abs() <= 2.5e-7 * expected, "exp({x}) = {got}, expected {expected}");
        }
        assert!(exp(-1e9) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn every_width_gives_the_definition() {
        for len in [1, 3, 4, 7, 8, 15, 16, 17, 33, 100, 1000] {
            let scores: Vec<f32> = (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.3).collect();
            let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = scores.iter().map(|&x| f64::from(x - max).exp()).collect();
            let total: f64 = powers.iter().sum();
            for softmax in [softmax, softmax_lanes::<4>, softmax_lanes::<8>, softmax_lanes::<16>] {
                let mut row = scores.clone();
                softmax(&mut row);
                for (got, power) in row.iter().zip(&powers) {
                    assert!((f64::from(*got) - power / total).abs() < 1e-6, "{len}");
                }
            }
        }
    }

    #[test]
    fn causal_rows_see_no_later_key() -> Result<()> {
        let scores = Tensor::zeros((2, 6, 5), DType::F32, &Device::Cpu)?;
        let weights = rows(scores, Visible::Causal { block_rows: 3, diagonal: None }, false)?.to_vec3::<f32>()?;
        for batch in weights {
            for (row, weights) in batch.iter().enumerate() {
                let visible = 3 + row % 3;
                for (key, &weight) in weights.iter().enumerate() {
                    let expected = if key < visible { 1.0 / visible as f32 } else { 0.0 };
                    assert!((weight - expected).abs() < 1e-7, "row {row} key {key}");
                }
            }
        }
        Ok(())
    }
}
