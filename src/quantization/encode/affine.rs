//! Blocks of q4_k and q5_k: sub-blocks of 32 values, each with a scale and a minimum of 6 bits.

use half::f16;

use super::lanes::{BLOCK, clamp, nearest, side_by_side};

/// Sub-blocks that are searched side by side: those of four blocks.
const LANES: usize = 32;
/// Values of a sub-block.
const VALUES: usize = 32;
/// Sub-blocks of a block.
const SUB_BLOCKS: usize = BLOCK / VALUES;
/// Scales and minima have 6 bits.
const MAX_SCALE: f32 = 63.0;

/// One value of each sub-block.
type Lanes = [f32; LANES];

/// What tells the two formats apart, and where the search for scales goes.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// The largest code.
    max_code: f32,
    /// The first candidate divides the range of values by this many codes more than the largest one.
    first: f32,
    /// Candidates after the first one, each a tenth of a code further.
    steps: u8,
    /// Bytes of a block.
    bytes: usize,
}

pub(super) const Q4_K: Form = Form { max_code: 15.0, first: -1.0, steps: 20, bytes: 144 };
pub(super) const Q5_K: Form = Form { max_code: 31.0, first: -0.5, steps: 15, bytes: 176 };

/// Fills `blocks` with `values`.
#[inline(always)]
pub(super) fn fill(form: Form, values: &[f32], blocks: &mut [u8]) {
    let together = LANES / SUB_BLOCKS;
    for (values, blocks) in values.chunks(together * BLOCK).zip(blocks.chunks_mut(together * form.bytes)) {
        let x = side_by_side::<LANES, VALUES>(values);
        let (scales, minima) = search_affine(form, &x);
        // Of each sub-block, its scale and its minimum as they will be read.
        let (mut step, mut low) = ([0f32; LANES], [0f32; LANES]);
        for (index, block) in blocks.chunks_exact_mut(form.bytes).enumerate() {
            let lanes = index * SUB_BLOCKS..(index + 1) * SUB_BLOCKS;
            let (d, scale_codes) = six_bits(&scales[lanes.clone()]);
            let (d_min, min_codes) = six_bits(&minima[lanes.clone()]);
            block[..2].copy_from_slice(&d.to_le_bytes());
            block[2..4].copy_from_slice(&d_min.to_le_bytes());
            pack_scales(&scale_codes, &min_codes, &mut block[4..16]);
            for (lane, (scale, min)) in lanes.zip(scale_codes.into_iter().zip(min_codes)) {
                step[lane] = d.to_f32() * f32::from(scale);
                low[lane] = d_min.to_f32() * f32::from(min);
            }
        }
        let mut codes = [[0u8; LANES]; VALUES];
        for (codes, x) in codes.iter_mut().zip(&x) {
            for lane in 0..LANES {
                let code = nearest(clamp((x[lane] + low[lane]) / step[lane], 0.0, form.max_code));
                codes[lane] = if step[lane] > 0.0 { code as u8 } else { 0 };
            }
        }
        for (index, block) in blocks.chunks_exact_mut(form.bytes).enumerate() {
            let (high, low) = block[16..].split_at_mut(form.bytes - 16 - BLOCK / 2);
            for (pair, low) in low.chunks_exact_mut(VALUES).enumerate() {
                let lane = index * SUB_BLOCKS + 2 * pair;
                for (position, low) in low.iter_mut().enumerate() {
                    let (first, second) = (codes[position][lane], codes[position][lane + 1]);
                    *low = first & 15 | second << 4;
                    // The fifth bits, if there are any; those of a pair lie side by side.
                    if let Some(high) = high.get_mut(position) {
                        let bits = (first >> 4 | (second >> 4) << 1) << (2 * pair);
                        *high = if pair == 0 { bits } else { *high | bits };
                    }
                }
            }
        }
    }
}

/// For each sub-block the scale and the negated minimum of least weighted squared error among the candidates. A
/// candidate gives codes; the best line through those is its scale and minimum, from which the next candidates start.
/// Larger values weigh more.
#[inline(always)]
fn search_affine(form: Form, x: &[Lanes; VALUES]) -> (Lanes, Lanes) {
    let (mut min, mut max, mut squares) = (x[0], x[0], [0f32; LANES]);
    for x in x {
        for lane in 0..LANES {
            min[lane] = if x[lane] < min[lane] { x[lane] } else { min[lane] };
            max[lane] = if x[lane] > max[lane] { x[lane] } else { max[lane] };
            squares[lane] += x[lane] * x[lane];
        }
    }
    let mut average = [0f32; LANES];
    for lane in 0..LANES {
        average[lane] = (squares[lane] / VALUES as f32).sqrt();
        min[lane] = if min[lane] > 0.0 { 0.0 } else { min[lane] };
    }
    let (mut weights, mut sum_w, mut sum_x) = ([[0f32; LANES]; VALUES], [0f32; LANES], [0f32; LANES]);
    for (weights, x) in weights.iter_mut().zip(x) {
        for lane in 0..LANES {
            let weight = average[lane] + x[lane].abs();
            weights[lane] = weight;
            sum_w[lane] += weight;
            sum_x[lane] += weight * x[lane];
        }
    }

    let (mut scale, mut low, mut best) = ([0f32; LANES], min, [0f32; LANES]);
    let mut inverse = [0f32; LANES];
    for lane in 0..LANES {
        inverse[lane] = form.max_code / (max[lane] - min[lane]);
        scale[lane] = 1.0 / inverse[lane];
    }
    for (x, weights) in x.iter().zip(&weights) {
        for lane in 0..LANES {
            let code = nearest(clamp(inverse[lane] * (x[lane] - min[lane]), 0.0, form.max_code));
            let error = scale[lane] * code + min[lane] - x[lane];
            best[lane] += weights[lane] * (error * error);
        }
    }
    let mut codes = [[0f32; LANES]; VALUES];
    for step in 0..=form.steps {
        let parts = form.first + 0.1 * f32::from(step) + form.max_code;
        for lane in 0..LANES {
            inverse[lane] = parts / (max[lane] - low[lane]);
        }
        let (mut sum_l, mut sum_l2, mut sum_xl) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
        for ((x, weights), codes) in x.iter().zip(&weights).zip(&mut codes) {
            for lane in 0..LANES {
                let code = clamp(nearest(inverse[lane] * (x[lane] - low[lane])), 0.0, form.max_code);
                let weighted = weights[lane] * code;
                codes[lane] = code;
                sum_l[lane] += weighted;
                sum_l2[lane] += weighted * code;
                sum_xl[lane] += weighted * x[lane];
            }
        }
        let (mut new_scale, mut new_low, mut error, mut is_line) =
            ([0f32; LANES], [0f32; LANES], [0f32; LANES], [false; LANES]);
        for lane in 0..LANES {
            let determinant = sum_w[lane] * sum_l2[lane] - sum_l[lane] * sum_l[lane];
            is_line[lane] = determinant > 0.0;
            new_scale[lane] = (sum_w[lane] * sum_xl[lane] - sum_x[lane] * sum_l[lane]) / determinant;
            new_low[lane] = (sum_l2[lane] * sum_x[lane] - sum_l[lane] * sum_xl[lane]) / determinant;
            if new_low[lane] > 0.0 {
                new_low[lane] = 0.0;
                new_scale[lane] = sum_xl[lane] / sum_l2[lane];
            }
        }
        for ((x, weights), codes) in x.iter().zip(&weights).zip(&codes) {
            for lane in 0..LANES {
                let difference = new_scale[lane] * codes[lane] + new_low[lane] - x[lane];
                error[lane] += weights[lane] * (difference * difference);
            }
        }
        for lane in 0..LANES {
            let is_better = is_line[lane] & (error[lane] < best[lane]);
            best[lane] = if is_better { error[lane] } else { best[lane] };
            scale[lane] = if is_better { new_scale[lane] } else { scale[lane] };
            low[lane] = if is_better { new_low[lane] } else { low[lane] };
        }
    }
    for lane in 0..LANES {
        // All values are the same: the minimum alone says it.
        let is_constant = max[lane] == min[lane];
        scale[lane] = if is_constant { 0.0 } else { scale[lane] };
        low[lane] = -low[lane];
    }
    (scale, low)
}

/// Scales as codes of 6 bits times the factor that comes first.
fn six_bits(scales: &[f32]) -> (f16, [u8; SUB_BLOCKS]) {
    // Not beyond what the factor can hold.
    let bound = MAX_SCALE * f16::MAX.to_f32();
    let max = scales.iter().fold(0f32, |max, &scale| if scale > max { scale } else { max }).min(bound);
    let inverse = if max > 0.0 { MAX_SCALE / max } else { 0.0 };
    let mut codes = [0; SUB_BLOCKS];
    for (code, scale) in codes.iter_mut().zip(scales) {
        *code = nearest(clamp(inverse * scale, 0.0, MAX_SCALE)) as u8;
    }
    (f16::from_f32(max / MAX_SCALE), codes)
}

/// Eight scales and eight minima of 6 bits in 12 bytes: the first four of each in bytes of their own, whose upper two
/// bits are those of the last four; their lower four bits share the last bytes.
fn pack_scales(scales: &[u8; 8], minima: &[u8; 8], bytes: &mut [u8]) {
    for index in 0..4 {
        let (scale, min) = (scales[index + 4], minima[index + 4]);
        bytes[index] = scales[index] | scale >> 4 << 6;
        bytes[index + 4] = minima[index] | min >> 4 << 6;
        bytes[index + 8] = scale & 15 | min << 4;
    }
}
