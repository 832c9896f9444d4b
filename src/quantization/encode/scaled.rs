//! Blocks of q6_k: sub-blocks of 16 values, each with a scale of 8 bits.

use half::f16;

use super::lanes::{BLOCK, clamp, nearest, side_by_side};

/// Sub-blocks of a block, which are searched side by side.
const LANES: usize = 16;
/// Values of a sub-block.
const VALUES: usize = 16;
/// Bytes of a block.
const BYTES: usize = 210;
/// Below this all values of a sub-block count as zero.
const TINY: f32 = 1e-15;

/// One value of each sub-block.
type Lanes = [f32; LANES];

/// Fills `blocks` with `values`.
#[inline(always)]
pub(super) fn fill(values: &[f32], blocks: &mut [u8]) {
    for (values, block) in values.chunks_exact(BLOCK).zip(blocks.chunks_exact_mut(BYTES)) {
        let x = side_by_side::<LANES, VALUES>(values);
        let scales = search_scaled(&x);
        let mut largest = 0f32;
        for scale in scales {
            largest = if scale.abs() > largest.abs() { scale } else { largest };
        }
        if largest.abs() < TINY {
            block.fill(0);
            continue;
        }
        let bound = 128.0 * f16::MAX.to_f32();
        let inverse = -128.0 / largest.clamp(-bound, bound);
        let d = f16::from_f32(1.0 / inverse);
        let mut codes = [[0u8; LANES]; VALUES];
        let mut step = [0f32; LANES];
        let mut scale_codes = [0i8; LANES];
        for lane in 0..LANES {
            let code = nearest(clamp(inverse * scales[lane], -128.0, 127.0));
            scale_codes[lane] = code as i8;
            step[lane] = d.to_f32() * code;
        }
        for (codes, x) in codes.iter_mut().zip(&x) {
            for lane in 0..LANES {
                let code = nearest(clamp(x[lane] / step[lane], -32.0, 31.0)) + 32.0;
                codes[lane] = if step[lane] == 0.0 { 32 } else { code as u8 };
            }
        }
        let code = |index: usize| codes[index % VALUES][index / VALUES];
        for half in 0..2 {
            for position in 0..32 {
                let [a, b, c, e] = [0, 32, 64, 96].map(|offset| code(128 * half + offset + position));
                block[64 * half + position] = a & 15 | c << 4;
                block[64 * half + 32 + position] = b & 15 | e << 4;
                block[128 + 32 * half + position] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6;
            }
        }
        for (byte, scale) in block[192..208].iter_mut().zip(scale_codes) {
            *byte = scale as u8;
        }
        block[208..].copy_from_slice(&d.to_le_bytes());
    }
}

/// For each sub-block the scale of least squared error, weighted by the squares of the values, among the candidates.
#[inline(always)]
fn search_scaled(x: &[Lanes; VALUES]) -> Lanes {
    const CODES: f32 = 32.0;
    let (mut largest, mut extreme) = ([0f32; LANES], [0f32; LANES]);
    for x in x {
        for lane in 0..LANES {
            let is_larger = x[lane].abs() > largest[lane];
            largest[lane] = if is_larger { x[lane].abs() } else { largest[lane] };
            extreme[lane] = if is_larger { x[lane] } else { extreme[lane] };
        }
    }
    let (mut scale, mut best) = ([0f32; LANES], [0f32; LANES]);
    // The plain division first, then those a tenth of a code off to either side.
    for step in [0i8, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
        let (mut inverse, mut sum_xl, mut sum_l2) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
        for lane in 0..LANES {
            inverse[lane] = -(CODES + 0.1 * f32::from(step)) / extreme[lane];
        }
        for x in x {
            for lane in 0..LANES {
                let code = clamp(nearest(inverse[lane] * x[lane]), -CODES, CODES - 1.0);
                let weight = x[lane] * x[lane];
                sum_xl[lane] += weight * x[lane] * code;
                sum_l2[lane] += weight * code * code;
            }
        }
        for lane in 0..LANES {
            let new = sum_xl[lane] / sum_l2[lane];
            let is_better =
                (sum_l2[lane] > 0.0) & ((step == 0) | (sum_xl[lane] * sum_xl[lane] > best[lane] * sum_l2[lane]));
            scale[lane] = if is_better { new } else { scale[lane] };
            best[lane] = if is_better { new * sum_xl[lane] } else { best[lane] };
        }
    }
    for lane in 0..LANES {
        scale[lane] = if largest[lane] < TINY { 0.0 } else { scale[lane] };
    }
    scale
}
