//! Tiles of products of bf16 (`vdpbf16ps`): up to 12 rows by 2 panels, or 6 by 4.

use std::arch::x86_64::*;

use half::bf16;

use super::shape::Shape;
use crate::kernels::panels::PANEL_ROWS;

/// Multiplies a tile.
///
/// # Safety
/// For each of the shape's rows r, `x` has `columns`, rounded up to an even number, values from `r * stride` on, and
/// `sums` room for 16 from `r * sum_stride` on for each panel; `panels` has as many panels of bf16 as the shape says.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(shape: &Shape, x: &[bf16], stride: usize, panels: &[u8], sums: &mut [f32]) {
    macro_rules! tiles {
        ($($rows:literal x $panels:literal)*) => {
            match (shape.rows, shape.panels) {
                // SAFETY: the caller's.
                $(($rows, $panels) => unsafe { tile::<$rows, $panels>(shape, x, stride, panels, sums) },)*
                (rows, panels) => unreachable!("a tile of {rows} rows by {panels} panels"),
            }
        };
    }
    tiles!(
        1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 6 x 1 7 x 1 8 x 1 9 x 1 10 x 1 11 x 1 12 x 1
        1 x 2 2 x 2 3 x 2 4 x 2 5 x 2 6 x 2 7 x 2 8 x 2 9 x 2 10 x 2 11 x 2 12 x 2
        1 x 4 2 x 4 3 x 4 4 x 4 5 x 4 6 x 4
    );
}

/// # Safety
/// See [`multiply`]; the shape has `R` rows and `P` panels.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile<const R: usize, const P: usize>(
    shape: &Shape,
    x: &[bf16],
    stride: usize,
    panels: &[u8],
    sums: &mut [f32],
) {
    let pairs = shape.columns.div_ceil(2);
    let panel_bytes = pairs * PANEL_ROWS * 4;
    let (x, panels) = (x.as_ptr(), panels.as_ptr());
    let mut acc = [[_mm512_setzero_ps(); P]; R];
    for pair in 0..pairs {
        // SAFETY: the caller's: `pair` lies inside each row and each panel.
        let weights: [__m512bh; P] = std::array::from_fn(|p| unsafe {
            std::mem::transmute(_mm512_loadu_si512(panels.add(p * panel_bytes + pair * 64).cast()))
        });
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: as above.
            let x = unsafe { x.add(r * stride + pair * 2).cast::<i32>().read_unaligned() };
            // SAFETY: both are 64 bytes of any bits.
            let x: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(x)) };
            for (acc, weights) in acc.iter_mut().zip(weights) {
                *acc = _mm512_dpbf16_ps(*acc, x, weights);
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        for (p, acc) in acc.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr().add(r * shape.sum_stride + p * PANEL_ROWS), *acc) };
        }
    }
}
