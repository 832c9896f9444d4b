//! Exact tiles in AVX-512: weights widened in registers, f32 activations, up to 6 rows by 4 panels.

use std::arch::x86_64::*;

use super::shape::Shape;
use crate::kernels::panels::{Element, PANEL_ROWS};

const BF16: u8 = 0;
const F16: u8 = 1;
const F32: u8 = 2;

/// The most rows of a tile.
pub(super) const ROWS: usize = 6;

/// Multiplies a tile.
///
/// # Safety
/// For each of the shape's rows r, `x` has `columns` values from `r * stride` on, and `sums` room for 16 from
/// `r * sum_stride` on for each panel; `panels` has as many panels of `element` as the shape says.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c")]
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
    tiles!(
        1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 6 x 1
        1 x 2 2 x 2 3 x 2 4 x 2 5 x 2 6 x 2
        1 x 4 2 x 4 3 x 4 4 x 4 5 x 4 6 x 4
    );
}

/// # Safety
/// See [`multiply`]; the element is the one that `KIND` names, and the shape has `R` rows and `P` panels.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c")]
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
    let mut acc = [[_mm512_setzero_ps(); P]; R];
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
        for (p, acc) in acc.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr().add(r * shape.sum_stride + p * PANEL_ROWS), *acc) };
        }
    }
}

/// Adds the products of one column.
///
/// # Safety
/// `R` values `stride` apart from `x` on, and 64 bytes of `P` panels `panel_bytes` apart from `panel` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c")]
unsafe fn step<const KIND: u8, const ODD: bool, const R: usize, const P: usize>(
    acc: &mut [[__m512; P]; R],
    x: *const f32,
    stride: usize,
    panel: *const u8,
    panel_bytes: usize,
) {
    let mut weights = [_mm512_setzero_ps(); P];
    for (p, weights) in weights.iter_mut().enumerate() {
        // SAFETY: the caller's.
        let words = unsafe { _mm512_loadu_si512(panel.add(p * panel_bytes).cast()) };
        *weights = match (KIND, ODD) {
            (BF16, false) => _mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
            (BF16, true) => _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(0xffff_0000_u32 as i32))),
            (F16, false) => _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)),
            (F16, true) => _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16))),
            _ => _mm512_castsi512_ps(words),
        };
    }
    for (r, acc) in acc.iter_mut().enumerate() {
        // SAFETY: the caller's.
        let x = _mm512_set1_ps(unsafe { *x.add(r * stride) });
        for (acc, weights) in acc.iter_mut().zip(weights) {
            *acc = _mm512_fmadd_ps(x, weights, *acc);
        }
    }
}
