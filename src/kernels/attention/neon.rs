//! The kernel in NEON, with operands in f32 (which may be rounded to bf16 before).

use std::arch::aarch64::*;

use super::super::operands::Operands;
use super::ahead::Ahead;
use super::exp2::{COEFFICIENTS, LEAST};
use super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::pack::{self, packing_methods};
use super::problem::{OutRow, Rows};
use super::tiles::{Scores, Sums, tile_methods, tiles};

type Vector = float32x4_t;

const VECTOR: usize = 4;
const VECTORS: usize = 3;
const LANES: usize = VECTORS * VECTOR;
const ROWS: usize = 8;
const PAIR: usize = 1;

/// 8 rows by 12 lanes: what fits 32 registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon {
    operands: Operands,
}

/// # Safety
/// 4 values can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(values: *const f32) -> Vector {
    // SAFETY: as the caller says.
    unsafe { vld1q_f32(values) }
}

/// # Safety
/// 4 values can be written.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(into: *mut f32, values: Vector) {
    // SAFETY: as the caller says.
    unsafe { vst1q_f32(into, values) }
}

#[inline]
#[target_feature(enable = "neon")]
fn splat(value: f32) -> Vector {
    vdupq_n_f32(value)
}

/// A word in every lane.
///
/// # Safety
/// A word can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn broadcast(word: *const f32) -> Vector {
    // SAFETY: as the caller says.
    vdupq_n_f32(unsafe { *word })
}

#[inline]
#[target_feature(enable = "neon")]
fn add(a: Vector, b: Vector) -> Vector {
    vaddq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn subtract(a: Vector, b: Vector) -> Vector {
    vsubq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn multiply(a: Vector, b: Vector) -> Vector {
    vmulq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn max(a: Vector, b: Vector) -> Vector {
    vmaxq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    vfmaq_f32(sum, lanes, number)
}

/// Whether any lane differs.
#[inline]
#[target_feature(enable = "neon")]
fn differ(a: Vector, b: Vector) -> bool {
    vminvq_u32(vceqq_f32(a, b)) == 0
}

/// `a` in the lanes whose limit is above `key`, else `b`.
///
/// # Safety
/// 4 limits can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn where_below(limits: *const i32, key: i32, a: Vector, b: Vector) -> Vector {
    // SAFETY: as the caller says.
    let limits = unsafe { vld1q_s32(limits) };
    vbslq_f32(vcgtq_s32(limits, vdupq_n_s32(key)), a, b)
}

/// Rounds to bf16, as a number in f32: to the nearest, ties to even.
#[inline]
#[target_feature(enable = "neon")]
fn round_to_bf16(values: Vector) -> Vector {
    let bits = vreinterpretq_u32_f32(values);
    let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
    let bits = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    vreinterpretq_f32_u32(vandq_u32(bits, vdupq_n_u32(!0xffff)))
}

/// `2^x`, as [`super::exp2::exp2`] but for the last bit.
#[inline]
#[target_feature(enable = "neon")]
fn exp2(x: Vector) -> Vector {
    let n = vrndnq_f32(x);
    let r = vsubq_f32(x, n);
    let mut power = splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        power = vfmaq_f32(splat(*coefficient), power, r);
    }
    power = vfmaq_f32(splat(1.0), power, r);
    let exponent = vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)));
    let power = vmulq_f32(power, vreinterpretq_f32_s32(exponent));
    // A number that is not less, or none.
    let less = vcltq_f32(x, splat(LEAST));
    vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(power), less))
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [weights]: [Vector; 1]) {
    // SAFETY: as the caller says.
    unsafe { store(into, if ROUND { round_to_bf16(weights) } else { weights }) }
}

tiles!("neon");

impl Neon {
    /// # Safety
    /// The machine has NEON.
    pub(super) unsafe fn new(operands: Operands) -> Self {
        Self { operands }
    }

    fn rounds(self) -> bool {
        self.operands == Operands::Bf16
    }
}

impl Kernel for Neon {
    tile_methods!();

    packing_methods!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_within_two_units_of_the_last_place() {
        // SAFETY: every machine of this architecture has the instructions.
        super::super::exp2::assert_accurate(|x| unsafe {
            let mut out = [0.0; 16];
            for quarter in (0..16).step_by(VECTOR) {
                store(out.as_mut_ptr().add(quarter), exp2(load(x.as_ptr().add(quarter))));
            }
            out
        });
    }
}
