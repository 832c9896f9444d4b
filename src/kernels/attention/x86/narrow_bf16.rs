//! The loops of [`super::avx512_bf16`] for tiles of at most 8 lanes, as [`super::narrow_exact`] has them.

use std::arch::x86_64::*;

use super::super::kernel::{Softmax, Tile, UNSEEN};
use super::super::tiles::{Scores, Sums, tiles};
use super::extent::{BF16_PAIR as PAIR, LANES, ROWS};
use super::lanes256::{exp2_as_with_16_lanes as exp2, *};

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    // SAFETY: both types are 32 bytes of which any bits are valid.
    let [number, lanes] = [number, lanes].map(|words| unsafe { std::mem::transmute::<Vector, __m256bh>(words) });
    _mm256_dpbf16_ps(sum, number, lanes)
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [low, high]: [Vector; 2]) {
    // SAFETY: both types are 32 bytes of which any bits are valid.
    let halves = unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm256_cvtne2ps_pbh(high, low)) };
    let order = _mm256_setr_epi16(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    // SAFETY: as the caller says.
    unsafe { _mm256_storeu_si256(into.cast(), _mm256_permutexvar_epi16(order, halves)) }
}

tiles!("fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16");
