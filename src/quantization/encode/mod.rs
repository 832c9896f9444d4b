//! Values -> blocks: the search for scales and minima, and the bytes of a block.
//!
//! The search is ggml's (`quantize_row_q4_K_ref` and its siblings in `ggml-quants.c`, without an importance matrix):
//! the same candidates, weights, and sums in the same order, so the blocks hold the values that ggml's do. It goes over
//! several sub-blocks side by side, one to a lane, which leaves every sum in ggml's order and still fills the vectors.
//!
//! Where a scale is beyond f16, ggml writes an infinity; here it is the largest f16, so that blocks hold numbers.

mod affine;
mod lanes;
mod scaled;

use half::f16;

use super::format::Format;

/// Values of a block of q8_0.
const SMALL_BLOCK: usize = 32;

/// Fills `blocks` with `values` in `format`, with the widest vectors this machine has; the blocks are the same with
/// any. Formats without blocks fill nothing.
pub(crate) fn encode(format: Format, values: &[f32], blocks: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { encode_avx512(format, values, blocks) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            return unsafe { encode_avx2(format, values, blocks) };
        }
    }
    encode_portable(format, values, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn encode_avx512(format: Format, values: &[f32], blocks: &mut [u8]) {
    encode_portable(format, values, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn encode_avx2(format: Format, values: &[f32], blocks: &mut [u8]) {
    encode_portable(format, values, blocks);
}

#[inline(always)]
fn encode_portable(format: Format, values: &[f32], blocks: &mut [u8]) {
    match format {
        Format::Q8_0 => q8_0(values, blocks),
        Format::Q6K => scaled::fill(values, blocks),
        Format::Q5K => affine::fill(affine::Q5_K, values, blocks),
        Format::Q4K => affine::fill(affine::Q4_K, values, blocks),
        Format::Float(_) => {}
    }
}

#[inline(always)]
fn q8_0(values: &[f32], blocks: &mut [u8]) {
    let (values, _) = values.as_chunks::<SMALL_BLOCK>();
    for (values, block) in values.iter().zip(blocks.chunks_exact_mut(2 + SMALL_BLOCK)) {
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = (largest / 127.0).min(f16::MAX.to_f32());
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let (head, codes) = block.split_at_mut(2);
        head.copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        for (code, value) in codes.iter_mut().zip(values) {
            let scaled = value * inverse;
            // Halves away from zero, as ggml rounds here; the cast cuts off, and saturates.
            *code = (scaled + 0.5f32.next_down().copysign(scaled)) as i8 as u8;
        }
    }
}

#[cfg(test)]
mod tests;
