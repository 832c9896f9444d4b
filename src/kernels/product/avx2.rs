//! Exact tiles in AVX2: weights widened in registers, f32 activations, up to 5 rows by 1 panel or 1 row by 4.

use std::arch::x86_64::*;

use super::shape::Shape;
use crate::kernels::panels::{Element, PANEL_ROWS};

const BF16: u8 = 0;
const F16: u8 = 1;
const F32: u8 = 2;

/// The most rows of a tile.
pub(super) const ROWS: usize = 5;

/// The most panels of a tile of so many rows: the sums and one panel's weights fill the 16 registers.
pub(super) fn panels(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 => 2,
        _ => 1,
    }
}

/// Multiplies a tile.
///
/// # Safety
/// For each of the shape's rows r, `x` has `columns` values from `r * stride` on, and `sums` room for 16 from
/// `r * sum_stride` on for each panel; `panels` has as many panels of `element` as the shape says.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn multiply(
    element: Element,
    shape: &Shape,
    x: &[f32],
    stride: usize,
    panels: &[u8],
    sums: &mut [f32],
) {
    macro_rules! tiles {
        ($($rows:literal x $panels:literal)*) => {
            match (element, shape.rows, shape.panels) {$(
                // SAFETY: the caller's, here and below.
                (Element::Bf16, $rows, $panels) => unsafe {
                    tile::<BF16, $rows, $panels>(shape, x, stride, panels, sums);
                },
                (Element::F16, $rows, $panels) => unsafe {
                    tile::<F16, $rows, $panels>(shape, x, stride, panels, sums);
                },
                (Element::F32, $rows, $panels) => unsafe {
                    tile::<F32, $rows, $panels>(shape, x, stride, panels, sums);
                },
            )*
                (_, rows, panels) => unreachable!("a tile of {rows} rows by {panels} panels"),
            }
        };
    }
    tiles!(1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 1 x 2 2 x 2 1 x 4);
}

/// # Safety
/// See [`multiply`]; the element is the one that `KIND` names, and the shape has `R` rows and `P` panels.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const KIND: u8, const R: usize, const P: usize>(
    shape: &Shape,
    x: &[f32],
    stride: usize,
    panels: &[u8],
    sums: &mut [f32],
) {
    let per_line = if KIND == F32 { 1 } else { 2 };
    let panel_bytes = shape.columns.div_ceil(per_line) * PANEL_ROWS * 4;
    let (x, panels) = (x.as_ptr(), panels.as_ptr());
    let mut acc = [[[_mm256_setzero_ps(); 2]; P]; R];
    for line in 0..shape.columns / per_line {
        // SAFETY: the caller's: `line` lies inside each panel, and its columns inside each row.
        unsafe {
            let panel = panels.add(line * 64);
            step::<KIND, false, R, P>(&mut acc, x.add(line * per_line), stride, panel, panel_bytes);
            if KIND != F32 {
                step::<KIND, true, R, P>(&mut acc, x.add(line * per_line + 1), stride, panel, panel_bytes);
            }
        }
    }
    if !shape.columns.is_multiple_of(per_line) {
        // SAFETY: as above, for the even half of the last line.
        unsafe {
            let (x, panel) = (x.add(shape.columns - 1), panels.add(panel_bytes - 64));
            step::<KIND, false, R, P>(&mut acc, x, stride, panel, panel_bytes);
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        for (half, acc) in acc.as_flattened().iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(r * shape.sum_stride + half * 8), *acc) };
        }
    }
}

/// Adds the products of one column.
///
/// # Safety
/// `R` values `stride` apart from `x` on, and 64 bytes of `P` panels `panel_bytes` apart from `panel` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn step<const KIND: u8, const ODD: bool, const R: usize, const P: usize>(
    acc: &mut [[[__m256; 2]; P]; R],
    x: *const f32,
    stride: usize,
    panel: *const u8,
    panel_bytes: usize,
) {
    for p in 0..P {
        let mut weights = [_mm256_setzero_ps(); 2];
        for (half, weights) in weights.iter_mut().enumerate() {
            // SAFETY: the caller's.
            let words = unsafe { _mm256_loadu_si256(panel.add(p * panel_bytes + half * 32).cast()) };
            *weights = match (KIND, ODD) {
                (BF16, false) => _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
                (BF16, true) => _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000_u32 as i32))),
                (F16, false) => widen_f16(_mm256_and_si256(words, _mm256_set1_epi32(0xffff))),
                (F16, true) => widen_f16(_mm256_srli_epi32(words, 16)),
                _ => _mm256_castsi256_ps(words),
            };
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: the caller's.
            let x = _mm256_set1_ps(unsafe { *x.add(r * stride) });
            for (acc, weights) in acc[p].iter_mut().zip(weights) {
                *acc = _mm256_fmadd_ps(x, weights, *acc);
            }
        }
    }
}

/// Widens the f16 in the lower halves of 8 words whose upper ones are zero.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn widen_f16(words: __m256i) -> __m256 {
    let packed = _mm256_permute4x64_epi64::<0b00_00_10_00>(_mm256_packus_epi32(words, words));
    _mm256_cvtph_ps(_mm256_castsi256_si128(packed))
}
