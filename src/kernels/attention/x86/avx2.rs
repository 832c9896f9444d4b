//! The kernel in AVX2, with operands in f32 (which may be rounded to bf16 before).

use std::arch::x86_64::*;

use super::super::super::operands::Operands;
use super::super::ahead::Ahead;
use super::super::exp2::{COEFFICIENTS, LEAST};
use super::super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::super::pack::{self, packing_methods};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::{Scores, Sums, tile_methods, tiles};
use super::lanes256::*;

const VECTORS: usize = 2;
const LANES: usize = VECTORS * VECTOR;
const ROWS: usize = 5;
const PAIR: usize = 1;

/// 5 rows by 16 lanes: what fits 16 registers.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2 {
    operands: Operands,
}

#[inline]
#[target_feature(enable = "fma")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    _mm256_fmadd_ps(number, lanes, sum)
}

/// `2^x`, as [`super::super::exp2::exp2`] but for the last bit.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exp2(x: Vector) -> Vector {
    let n = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let r = _mm256_sub_ps(x, n);
    let mut power = splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        power = _mm256_fmadd_ps(power, r, splat(*coefficient));
    }
    power = _mm256_fmadd_ps(power, r, splat(1.0));
    let exponent = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
    let power = _mm256_mul_ps(power, _mm256_castsi256_ps(exponent));
    _mm256_and_ps(power, _mm256_cmp_ps::<_CMP_NLT_UQ>(x, splat(LEAST)))
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [weights]: [Vector; 1]) {
    // SAFETY: as the caller says.
    unsafe { store(into, if ROUND { round_to_bf16(weights) } else { weights }) }
}

tiles!("avx2,fma");

impl Avx2 {
    /// # Safety
    /// The machine has AVX2 and FMA.
    pub(in super::super) unsafe fn new(operands: Operands) -> Self {
        Self { operands }
    }

    fn rounds(self) -> bool {
        self.operands == Operands::Bf16
    }
}

impl Kernel for Avx2 {
    tile_methods!();

    packing_methods!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_within_two_units_of_the_last_place() {
        if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("fma") {
            return;
        }
        // SAFETY: the machine has the instructions.
        super::super::super::exp2::assert_accurate(|x| unsafe {
            let mut out = [0.0; 16];
            store(out.as_mut_ptr(), exp2(load(x.as_ptr())));
            store(out.as_mut_ptr().add(8), exp2(load(x.as_ptr().add(8))));
            out
        });
    }
}
