//! A tile of many rows in bytes: rows by a panel, in a chunk of columns.
//!
//! The sums are those of [`bytes`](super::super::bytes), to the bit: integers of a group are exact, and what is done
//! with them in f32 is the same in the same order.

use super::super::blocks::Blocks;
use super::super::format::LINE_BYTES;
use super::super::lanes::Lanes;
use super::super::rounded::SHARED;
use super::rows::block_words;
use super::unpacked::{first_quad, group_bytes};
use crate::kernels::panels::PANEL_ROWS;

/// Multiplies by a panel, and adds to the sums: takes the unpacked panel, blocks of columns, the rows, the sums, and
/// the floats from the sums of one row to those of the next.
pub(super) type Run = unsafe fn(*const u8, usize, *const u32, *mut f32, usize);

/// The work of a [`Run`].
///
/// # Safety
/// `S`'s instructions are there. The panel is unpacked from `F`; it and the rows have so many blocks of columns, and
/// the rows are rounded for `F`; there are 16 sums of each row; panel and sums are 64-byte aligned.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined, and loops look alike")]
pub(super) unsafe fn add_products<S: Lanes, F: Blocks<S>, const M: usize>(
    mut panel: *const u8,
    blocks: usize,
    mut x: *const u32,
    sums: *mut f32,
    stride: usize,
) {
    let wide = F::OFFSET == Some(128);
    let corrected = F::OFFSET.is_some() && !(wide && S::WIDE_IS_SIGNED);
    let quads = F::GROUP / 4;
    let most = if wide { 1 } else { S::most_dots(F::MOST).min(quads) };
    // SAFETY: the caller's.
    unsafe {
        let mut totals = [S::splat(0.0); M];
        for row in 0..M {
            totals[row] = S::from_bits(S::load(sums.add(row * stride).cast()));
        }
        for _ in 0..blocks {
            let scales = x.add(M * SHARED / 4);
            for group in 0..SHARED / F::GROUP {
                let corrections = scales.add(M + group * M);
                let mut dots = [S::words(0); M];
                if corrected {
                    for row in 0..M {
                        dots[row] = S::words(*corrections.add(row));
                    }
                }
                let mut first = 0;
                while first < quads {
                    let mut partial = [S::partial(dots[0]); M];
                    for row in 1..M {
                        partial[row] = S::partial(dots[row]);
                    }
                    for quad in first..first + most {
                        let numbers = S::load(panel.add((first_quad::<S, F>() + quad) * LINE_BYTES));
                        for row in 0..M {
                            let x = x.add((row * SHARED + group * F::GROUP) / 4 + quad).cast();
                            if wide {
                                dots[row] = S::dot_wide(dots[row], numbers, x);
                            } else {
                                partial[row] = S::add_dot(partial[row], numbers, x);
                            }
                        }
                    }
                    if !wide {
                        for row in 0..M {
                            dots[row] = S::sums(dots[row], partial[row]);
                        }
                    }
                    first += most;
                }
                let scale = S::from_bits(S::load(panel));
                for row in 0..M {
                    let mut sum = S::mul(S::to_floats(dots[row]), scale);
                    if F::OFFSET.is_none() {
                        let minimum = S::from_bits(S::load(panel.add(LINE_BYTES)));
                        sum = S::neg_mul_add(S::splat(f32::from_bits(*corrections.add(row))), minimum, sum);
                    }
                    totals[row] = S::mul_add(sum, S::splat(f32::from_bits(*scales.add(row))), totals[row]);
                }
                panel = panel.add(group_bytes::<S, F>());
            }
            x = x.add(block_words(M, F::GROUP));
        }
        for row in 0..M {
            S::store(totals[row], sums.add(row * stride));
        }
    }
}

/// Floats of the sums of a tile by so many panels.
pub(super) const fn sums(tile_rows: usize, panels: usize) -> usize {
    tile_rows * panels * PANEL_ROWS
}
