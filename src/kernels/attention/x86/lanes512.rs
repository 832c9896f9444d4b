//! Vectors of 16 lanes, in AVX-512: what the loops over tiles and the packing are written in.

use std::arch::x86_64::*;

use super::super::exp2::{COEFFICIENTS, LEAST};
use super::super::kernel::MOST_LANES;
use super::super::problem::OutRow;

pub(super) type Vector = __m512;

pub(super) const VECTOR: usize = 16;

/// # Safety
/// 16 values can be read.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load(values: *const f32) -> Vector {
    // SAFETY: as the caller says.
    unsafe { _mm512_loadu_ps(values) }
}

/// # Safety
/// 16 values can be written.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store(into: *mut f32, values: Vector) {
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_ps(into, values) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn splat(value: f32) -> Vector {
    _mm512_set1_ps(value)
}

/// A word in every lane.
///
/// # Safety
/// A word can be read.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn broadcast(word: *const f32) -> Vector {
    // SAFETY: as the caller says.
    _mm512_set1_ps(unsafe { *word })
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add(a: Vector, b: Vector) -> Vector {
    _mm512_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn subtract(a: Vector, b: Vector) -> Vector {
    _mm512_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn multiply(a: Vector, b: Vector) -> Vector {
    _mm512_mul_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn max(a: Vector, b: Vector) -> Vector {
    _mm512_max_ps(a, b)
}

/// Whether any lane differs.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn differ(a: Vector, b: Vector) -> bool {
    _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, b) != 0
}

/// `a` in the lanes whose limit is above `key`, else `b`.
///
/// # Safety
/// 16 limits can be read.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn where_below(limits: *const i32, key: i32, a: Vector, b: Vector) -> Vector {
    // SAFETY: as the caller says.
    let limits = unsafe { _mm512_loadu_epi32(limits) };
    _mm512_mask_blend_ps(_mm512_cmplt_epi32_mask(_mm512_set1_epi32(key), limits), b, a)
}

/// `2^x`, as [`super::super::exp2::exp2`] but for the last bit.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp2(x: Vector) -> Vector {
    let r = _mm512_reduce_ps::<0>(x);
    let mut power = splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        power = _mm512_fmadd_ps(power, r, splat(*coefficient));
    }
    power = _mm512_fmadd_ps(power, r, splat(1.0));
    let normal = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, splat(LEAST));
    _mm512_maskz_scalef_ps(normal, power, _mm512_sub_ps(x, r))
}

/// Rounds to bf16, as a number in f32.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn round_to_bf16(values: Vector) -> Vector {
    let bits = _mm512_castps_si512(values);
    // To the nearest, ties to even: what is cut off counts from just under or from just half.
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(!0xffff)))
}

/// The first `count` lanes, at most 16.
#[inline]
pub(super) fn first_lanes(count: usize) -> __mmask16 {
    ((1_u32 << count.min(16)) - 1) as __mmask16
}

/// The first `count` values, at most 16, of a row, and zeros.
///
/// # Safety
/// They can be read.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load_first(values: *const f32, count: usize) -> Vector {
    // SAFETY: lanes that are masked out are not read.
    unsafe { _mm512_maskz_loadu_ps(first_lanes(count), values) }
}

/// The values of a row, f32 or bf16, that `mask` selects, and zeros.
///
/// # Safety
/// They can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn load_row<const BF16: bool>(row: *const u8, mask: __mmask16) -> Vector {
    // SAFETY: lanes that are masked out are not read.
    unsafe {
        if BF16 {
            let bits = _mm256_maskz_loadu_epi16(mask, row.cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
        } else {
            _mm512_maskz_loadu_ps(mask, row.cast())
        }
    }
}

/// The transpose of 16 rows of 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(rows: [Vector; 16]) -> [Vector; 16] {
    let mut pairs = rows;
    for i in (0..16).step_by(2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    // In each 128 bits, `quads[4 * i + j]` has column `j` of rows `4 * i` to `4 * i + 3`.
    let mut quads = pairs;
    for i in (0..16).step_by(4) {
        for j in 0..2 {
            let (low, high) = (_mm512_castps_pd(pairs[i + j]), _mm512_castps_pd(pairs[i + j + 2]));
            quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    }
    let mut columns = quads;
    for j in 0..4 {
        let even = |a, b| _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let odd = |a, b| _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        let (low, high) = ((quads[j], quads[4 + j]), (quads[8 + j], quads[12 + j]));
        let (even_low, even_high) = (even(low.0, low.1), even(high.0, high.1));
        let (odd_low, odd_high) = (odd(low.0, low.1), odd(high.0, high.1));
        columns[j] = even(even_low, even_high);
        columns[4 + j] = even(odd_low, odd_high);
        columns[8 + j] = odd(even_low, even_high);
        columns[12 + j] = odd(odd_low, odd_high);
    }
    columns
}

/// Writes 16 lanes' outputs: sums, `[dims][lanes]`, over totals.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn finish(sums: &[f32], totals: &[f32], lanes: usize, rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
    let width = rows.iter().flatten().map(OutRow::len).next().unwrap_or(0);
    assert!(width == 0 || (totals.len() >= VECTOR && sums.len() >= (width - 1) * lanes + VECTOR));
    assert!(rows.iter().flatten().all(|row| row.len() == width));
    // SAFETY: the lengths are asserted; a row's values are written up to its width.
    unsafe {
        let inverse = _mm512_div_ps(splat(1.0), load(totals.as_ptr()));
        for column in (0..width).step_by(16) {
            let count = (width - column).min(16);
            let mut columns = [splat(0.0); 16];
            for (index, values) in columns.iter_mut().enumerate() {
                // What lies beyond the width is read again from its last row, and not written.
                let row = (column + index).min(width - 1);
                *values = multiply(load(sums.as_ptr().add(row * lanes)), inverse);
            }
            for (values, row) in transpose(columns).into_iter().zip(rows.iter_mut()) {
                match row {
                    None => {}
                    Some(OutRow::F32(row)) => {
                        _mm512_mask_storeu_ps(row.as_mut_ptr().add(column), first_lanes(count), values);
                    }
                    Some(OutRow::Bf16(row)) => {
                        let bits = _mm512_srli_epi32::<16>(_mm512_castps_si512(round_to_bf16(values)));
                        let into = row.as_mut_ptr().add(column).cast();
                        _mm256_mask_storeu_epi16(into, first_lanes(count), _mm512_cvtepi32_epi16(bits));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_within_two_units_of_the_last_place() {
        if !is_x86_feature_detected!("avx512f") || !is_x86_feature_detected!("avx512dq") {
            return;
        }
        // SAFETY: the machine has the instructions.
        super::super::super::exp2::assert_accurate(|x| unsafe {
            let mut out = [0.0; 16];
            store(out.as_mut_ptr(), exp2(load(x.as_ptr())));
            out
        });
    }
}
