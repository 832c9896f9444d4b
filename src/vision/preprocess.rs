//! RGB frames -> pixel_values, bit for bit as SigLipImageProcessor gives them.
//!
//! `[H, W, 3]` u8 -> bicubic resize straight to `[S, S, 3]` u8 (aspect ratio not kept) -> `[3, S, S]` f32 in -1..1.
//! The resize imitates Pillow 10.4's 8-bit path (`Resample.c`): separable, horizontal pass first, bytes between the
//! passes, a = -0.5, window widened when shrinking. Reference: `SigLipImageProcessor.preprocess` of LLaVA-NeXT
//! `siglip_encoder.py`.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// Fraction bits of Pillow's fixed-point coefficients: 32 - 8 - 2.
const PRECISION_BITS: u32 = 22;

/// Support of the bicubic kernel at scale 1, in source pixels.
const BICUBIC_SUPPORT: f64 = 2.0;

/// Resizes packed RGB `[height, width, 3]` to `[size, size, 3]`. An axis that already has `size` pixels is untouched.
///
/// # Panics
/// If `rgb` is not `height * width * 3` bytes, or a side is zero.
pub fn resize(rgb: &[u8], width: usize, height: usize, size: usize) -> Vec<u8> {
    resize_to(rgb, (width, height), (size, size))
}

/// As [`resize`], between any two sizes (width, height).
///
/// # Panics
/// As [`resize`].
pub fn resize_to(rgb: &[u8], (width, height): (usize, usize), target: (usize, usize)) -> Vec<u8> {
    let sides = [width, height, target.0, target.1];
    assert!(!sides.contains(&0), "cannot resize {width}x{height} to {}x{}", target.0, target.1);
    assert_eq!(rgb.len(), width * height * 3, "an RGB frame of {width}x{height}");
    let narrowed = match width == target.0 {
        true => rgb.to_vec(),
        false => horizontal_pass(rgb, width, &Filter::new(width, target.0)),
    };
    match height == target.1 {
        true => narrowed,
        false => vertical_pass(&narrowed, target.0, &Filter::new(height, target.1)),
    }
}

/// For each output pixel, its first source pixel and the fixed-point weights from there on.
struct Filter {
    taps: Vec<(usize, Vec<i32>)>,
}

impl Filter {
    /// `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow's Resample.c.
    fn new(source_len: usize, target_len: usize) -> Self {
        let scale = source_len as f64 / target_len as f64;
        let filter_scale = scale.max(1.0);
        let support = BICUBIC_SUPPORT * filter_scale;
        let inverse_scale = 1.0 / filter_scale;
        let tap = |target: usize| {
            let center = (target as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(source_len);
            let weight = |i: usize| bicubic(((i + first) as f64 - center + 0.5) * inverse_scale);
            let mut weights: Vec<f64> = (0..end - first).map(weight).collect();
            let total: f64 = weights.iter().sum();
            if total != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= total);
            }
            (first, weights.into_iter().map(to_fixed_point).collect())
        };
        Self { taps: (0..target_len).map(tap).collect() }
    }
}

/// `bicubic_filter` with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds half away from zero, as C's truncating cast after adding or subtracting a half.
fn to_fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

/// Drops the fraction and clips to a byte (`clip8`).
fn to_byte(accumulator: i32) -> u8 {
    (accumulator >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The accumulator starts at one half, so that dropping the fraction rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// `[H, width, 3]` -> `[H, filter, 3]`.
fn horizontal_pass(rgb: &[u8], width: usize, filter: &Filter) -> Vec<u8> {
    let mut out = Vec::with_capacity(rgb.len() / width * filter.taps.len());
    for row in rgb.chunks_exact(width * 3) {
        for (first, weights) in &filter.taps {
            let pixels = row[first * 3..].chunks_exact(3);
            let mut sums = [HALF; 3];
            for (pixel, &weight) in pixels.zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.map(to_byte));
        }
    }
    out
}

/// `[H, width, 3]` -> `[filter, width, 3]`.
fn vertical_pass(rgb: &[u8], width: usize, filter: &Filter) -> Vec<u8> {
    let stride = width * 3;
    let mut out = Vec::with_capacity(filter.taps.len() * stride);
    let mut sums = vec![HALF; stride];
    for (first, weights) in &filter.taps {
        sums.fill(HALF);
        for (row, &weight) in rgb[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().copied().map(to_byte));
    }
    out
}

/// What each byte becomes: rescaled by 1/255 in f64, cast to f32, then (x - 0.5) / 0.5 in f32.
pub fn normalization_table() -> [f32; 256] {
    std::array::from_fn(|byte| {
        let rescaled = (byte as f64 * (1.0 / 255.0)) as f32;
        (rescaled - 0.5) / 0.5
    })
}

/// Resized frames `[S, S, 3]` u8 -> pixel_values `[T, 3, S, S]` f32.
///
/// # Errors
/// A failing device.
///
/// # Panics
/// If a frame is not `size * size * 3` bytes.
pub fn pixel_values(frames: &[&[u8]], size: usize, device: &Device) -> Result<Tensor> {
    let table = normalization_table();
    let plane = size * size;
    let mut values = vec![0f32; frames.len() * 3 * plane];
    values.par_chunks_exact_mut(3 * plane).zip(frames.par_iter()).for_each(|(values, frame)| {
        assert_eq!(frame.len(), 3 * plane, "a resized frame of {size}x{size}");
        for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
            for (value, pixel) in values.iter_mut().zip(frame.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    });
    Tensor::from_vec(values, (frames.len(), 3, size, size), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_the_right_size_is_untouched() {
        let rgb: Vec<u8> = (0..6 * 6 * 3).map(|i| (i * 37 % 256) as u8).collect();
        assert_eq!(resize(&rgb, 6, 6, 6), rgb);
    }

    #[test]
    fn a_flat_frame_stays_flat_at_any_scale() {
        for (width, height, size) in [(1, 1, 7), (2, 50, 9), (640, 3, 32), (33, 17, 75)] {
            let rgb = [10u8, 200, 255].repeat(width * height);
            assert_eq!(resize(&rgb, width, height, size), [10u8, 200, 255].repeat(size * size), "{width}x{height}");
        }
    }
}
