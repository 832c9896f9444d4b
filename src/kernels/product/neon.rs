//! Exact tiles in NEON: weights widened in registers, f32 activations, up to 8 rows by 1 panel or 2 rows by 2.

use std::arch::aarch64::*;

use super::shape::Shape;
use crate::kernels::panels::{Element, PANEL_ROWS};

const BF16: u8 = 0;
const F16: u8 = 1;
const F32: u8 = 2;

/// The most rows of a tile.
pub(super) const ROWS: usize = 8;

/// Bytes of a panel's line, and its vectors.
const LINE: usize = PANEL_ROWS * 4;
const QUARTERS: usize = PANEL_ROWS / 4;

/// The most panels of a tile of so many rows: with few rows, two give enough sums that none waits for the one before.
pub(super) fn panels(rows: usize) -> usize {
    if rows <= 2 { 2 } else { 1 }
}

/// Multiplies a tile.
///
/// # Safety
/// For each of the shape's rows r, `x` has `columns` values from `r * stride` on, and `sums` room for 16 from
/// `r * sum_stride` on for each panel; `panels` has as many panels of `element` as the shape says.
#[target_feature(enable = "neon")]
pub(super) unsafe fn multiply(
    element: Element,
    shape: &Shape,
    x: &[f32],
    stride: usize,
    panels: &[u8],
    sums: &mut [f32],
) {
    macro_rules! tiles {
        ($($rows:literal x $panels:literal by $vectors:literal)*) => {
            match (element, shape.rows, shape.panels) {$(
                // SAFETY: the caller's, here and below.
                (Element::Bf16, $rows, $panels) => unsafe {
                    tile::<BF16, $rows, $panels, $vectors>(shape, x, stride, panels, sums);
                },
                (Element::F16, $rows, $panels) => unsafe {
                    tile::<F16, $rows, $panels, $vectors>(shape, x, stride, panels, sums);
                },
                (Element::F32, $rows, $panels) => unsafe {
                    tile::<F32, $rows, $panels, $vectors>(shape, x, stride, panels, sums);
                },
            )*
                (_, rows, panels) => unreachable!("a tile of {rows} rows by {panels} panels"),
            }
        };
    }
    // Vectors of weights that the rows meet at a time. With 8 rows by 2, what it costs to widen a vector is a ninth of
    // the whole, and 16 sums, 8 vectors of activations and the weights fit the 32 registers.
    tiles! {
        1 x 1 by 4  1 x 2 by 8  2 x 1 by 4  2 x 2 by 8  3 x 1 by 4  4 x 1 by 4
        5 x 1 by 2  6 x 1 by 2  7 x 1 by 2  8 x 1 by 2
    }
}

/// # Safety
/// See [`multiply`]; the element is the one that `KIND` names, and the shape has `R` rows and `P` panels, whose vectors
/// come in groups of `V`.
#[target_feature(enable = "neon")]
unsafe fn tile<const KIND: u8, const R: usize, const P: usize, const V: usize>(
    shape: &Shape,
    x: &[f32],
    stride: usize,
    panels: &[u8],
    sums: &mut [f32],
) {
    let per_line = if KIND == F32 { 1 } else { 2 };
    let panel_bytes = shape.columns.div_ceil(per_line) * PANEL_ROWS * 4;
    for first in (0..P * QUARTERS).step_by(V) {
        let starts = std::array::from_fn(|v| {
            let vector = first + v;
            panels.as_ptr().wrapping_add(vector / QUARTERS * panel_bytes + vector % QUARTERS * 16)
        });
        // SAFETY: the caller's: the vectors are those of the panels.
        let acc: [[_; V]; R] = unsafe { group::<KIND, R, V>(shape.columns, x.as_ptr(), stride, starts) };
        for (r, acc) in acc.iter().enumerate() {
            for (v, acc) in acc.iter().enumerate() {
                // SAFETY: the caller's.
                unsafe { vst1q_f32(sums.as_mut_ptr().add(r * shape.sum_stride + (first + v) * 4), *acc) };
            }
        }
    }
}

/// The sums of `R` rows by `V` vectors of weights.
///
/// # Safety
/// `R` rows of `columns` values `stride` apart from `x` on, and a panel's lines, 64 bytes apart, from each of `weights`
/// on, of which 16 bytes are read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn group<const KIND: u8, const R: usize, const V: usize>(
    columns: usize,
    x: *const f32,
    stride: usize,
    weights: [*const u8; V],
) -> [[float32x4_t; V]; R] {
    let line_of = |column: usize| if KIND == F32 { column * LINE } else { column / 2 * LINE };
    let mut acc = [[vdupq_n_f32(0.0); V]; R];
    let mut xs = [vdupq_n_f32(0.0); R];
    let mut column = 0;
    // SAFETY: the caller's: columns lie inside the rows, and their lines inside the panels.
    unsafe {
        while column + 4 <= columns {
            for (r, xs) in xs.iter_mut().enumerate() {
                *xs = vld1q_f32(x.add(r * stride + column));
            }
            step::<KIND, false, 0, R, V>(&mut acc, &xs, &weights, line_of(column));
            step::<KIND, true, 1, R, V>(&mut acc, &xs, &weights, line_of(column + 1));
            step::<KIND, false, 2, R, V>(&mut acc, &xs, &weights, line_of(column + 2));
            step::<KIND, true, 3, R, V>(&mut acc, &xs, &weights, line_of(column + 3));
            column += 4;
        }
        while column < columns {
            for (r, xs) in xs.iter_mut().enumerate() {
                *xs = vld1q_dup_f32(x.add(r * stride + column));
            }
            match column.is_multiple_of(2) {
                true => step::<KIND, false, 0, R, V>(&mut acc, &xs, &weights, line_of(column)),
                false => step::<KIND, true, 0, R, V>(&mut acc, &xs, &weights, line_of(column)),
            }
            column += 1;
        }
    }
    acc
}

/// Adds the products of one column, which is lane `LANE` of the rows' vectors.
///
/// # Safety
/// 16 bytes can be read `offset` from each of `weights`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn step<const KIND: u8, const ODD: bool, const LANE: i32, const R: usize, const V: usize>(
    acc: &mut [[float32x4_t; V]; R],
    x: &[float32x4_t; R],
    weights: &[*const u8; V],
    offset: usize,
) {
    for (v, weights) in weights.iter().enumerate() {
        // SAFETY: the caller's.
        let words = unsafe { vld1q_u32(weights.add(offset).cast()) };
        let weights = match (KIND, ODD) {
            (BF16, false) => vreinterpretq_f32_u32(vshlq_n_u32::<16>(words)),
            (BF16, true) => vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xffff_0000))),
            (F16, false) => vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(words))),
            (F16, true) => vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32::<16>(words))),
            _ => vreinterpretq_f32_u32(words),
        };
        for (acc, x) in acc.iter_mut().zip(x) {
            acc[v] = vfmaq_laneq_f32::<LANE>(acc[v], weights, *x);
        }
    }
}
