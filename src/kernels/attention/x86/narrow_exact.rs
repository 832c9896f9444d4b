//! The loops of [`super::avx512`] for tiles of at most 8 lanes: a decode step has no more, and where vectors of 16 take
//! two cycles it is done in half the time. The same bits come out.

use std::arch::x86_64::*;

use super::super::kernel::{Softmax, Tile, UNSEEN};
use super::super::tiles::{Scores, Sums, tiles};
use super::extent::{EXACT_PAIR as PAIR, LANES, ROWS};
use super::lanes256::{exp2_as_with_16_lanes as exp2, *};

#[inline]
#[target_feature(enable = "fma")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    _mm256_fmadd_ps(number, lanes, sum)
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [weights]: [Vector; 1]) {
    // SAFETY: as the caller says.
    unsafe { store(into, if ROUND { round_to_bf16(weights) } else { weights }) }
}

tiles!("fma,avx512f,avx512bw,avx512dq,avx512vl");
