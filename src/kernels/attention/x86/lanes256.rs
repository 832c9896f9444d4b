//! Vectors of 8 lanes: what is the same in AVX2 and in AVX-512.

use std::arch::x86_64::*;

pub(super) type Vector = __m256;

pub(super) const VECTOR: usize = 8;

/// # Safety
/// 8 values can be read.
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn load(values: *const f32) -> Vector {
    // SAFETY: as the caller says.
    unsafe { _mm256_loadu_ps(values) }
}

/// # Safety
/// 8 values can be written.
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn store(into: *mut f32, values: Vector) {
    // SAFETY: as the caller says.
    unsafe { _mm256_storeu_ps(into, values) }
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn splat(value: f32) -> Vector {
    _mm256_set1_ps(value)
}

/// A word in every lane.
///
/// # Safety
/// A word can be read.
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn broadcast(word: *const f32) -> Vector {
    // SAFETY: as the caller says.
    _mm256_set1_ps(unsafe { *word })
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn add(a: Vector, b: Vector) -> Vector {
    _mm256_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn subtract(a: Vector, b: Vector) -> Vector {
    _mm256_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn multiply(a: Vector, b: Vector) -> Vector {
    _mm256_mul_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn max(a: Vector, b: Vector) -> Vector {
    _mm256_max_ps(a, b)
}

/// Whether any lane differs.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn differ(a: Vector, b: Vector) -> bool {
    _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(a, b)) != 0
}

/// `a` in the lanes whose limit is above `key`, else `b`.
///
/// # Safety
/// 8 limits can be read.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn where_below(limits: *const i32, key: i32, a: Vector, b: Vector) -> Vector {
    // SAFETY: as the caller says.
    let limits = unsafe { _mm256_loadu_si256(limits.cast()) };
    _mm256_blendv_ps(b, a, _mm256_castsi256_ps(_mm256_cmpgt_epi32(limits, _mm256_set1_epi32(key))))
}

/// Rounds to bf16, as a number in f32.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn round_to_bf16(values: Vector) -> Vector {
    let bits = _mm256_castps_si256(values);
    // To the nearest, ties to even: what is cut off counts from just under or from just half.
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let bits = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(!0xffff)))
}

/// `2^x` in AVX-512, to the bit as with 16 lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) fn exp2_as_with_16_lanes(x: Vector) -> Vector {
    use super::super::exp2::{COEFFICIENTS, LEAST};
    let r = _mm256_reduce_ps::<0>(x);
    let mut power = splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        power = _mm256_fmadd_ps(power, r, splat(*coefficient));
    }
    power = _mm256_fmadd_ps(power, r, splat(1.0));
    let normal = _mm256_cmp_ps_mask::<_CMP_NLT_UQ>(x, splat(LEAST));
    _mm256_maskz_scalef_ps(normal, power, _mm256_sub_ps(x, r))
}
