//! A tile of many rows in bytes: up to 12 rows by a panel, in a chunk of columns.
//!
//! The sums are those of [`bytes`](super::super::bytes), to the bit: integers of a group are exact, and what is done
//! with them in f32 is the same in the same order.

use super::super::blocks::Blocks;
use super::super::format::LINE_BYTES;
use super::super::lanes::{Avx512, Lanes};
use super::super::rounded::SHARED;
use super::rows::block_words;
use super::unpacked::{first_quad, group_bytes};
use crate::kernels::panels::PANEL_ROWS;

/// The most rows of a tile: with as many integers and as many sums there are registers left for what is read.
pub(super) const MOST_TILE_ROWS: usize = 12;

/// Multiplies by a panel, and adds to the sums: takes the unpacked panel, blocks of columns, the rows, the sums, and
/// the floats from the sums of one row to those of the next.
pub(super) type Run = unsafe fn(*const u8, usize, *const u32, *mut f32, usize);

/// The tile of so many rows.
pub(super) fn tile_of<F: Blocks<Avx512>>(rows: usize) -> Run {
    match rows {
        // Twelve rows or more are cut into tiles of at least seven.
        7 => run::<F, 7>,
        8 => run::<F, 8>,
        9 => run::<F, 9>,
        10 => run::<F, 10>,
        11 => run::<F, 11>,
        MOST_TILE_ROWS => run::<F, MOST_TILE_ROWS>,
        _ => unreachable!("a tile of {rows} rows"),
    }
}

/// # Safety
/// The instructions are there. The panel is unpacked from `F`; it and the rows have so many blocks of columns, and the
/// rows are rounded for `F`; there are 16 sums of each row; panel and sums are 64-byte aligned.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined, and loops look alike")]
unsafe fn run<F: Blocks<Avx512>, const M: usize>(
    mut panel: *const u8,
    blocks: usize,
    mut x: *const u32,
    sums: *mut f32,
    stride: usize,
) {
    let wide = F::OFFSET == Some(128);
    // SAFETY: the caller's.
    unsafe {
        let mut totals = [Avx512::splat(0.0); M];
        for row in 0..M {
            totals[row] = Avx512::from_bits(Avx512::load(sums.add(row * stride).cast()));
        }
        for _ in 0..blocks {
            let scales = x.add(M * SHARED / 4);
            for group in 0..SHARED / F::GROUP {
                let corrections = scales.add(M + group * M);
                let mut dots = [Avx512::words(0); M];
                if F::OFFSET.is_some() {
                    for row in 0..M {
                        dots[row] = Avx512::words(*corrections.add(row));
                    }
                }
                for quad in 0..F::GROUP / 4 {
                    let numbers = Avx512::load(panel.add((first_quad::<F>() + quad) * LINE_BYTES));
                    for row in 0..M {
                        let x = x.add((row * SHARED + group * F::GROUP) / 4 + quad).cast();
                        let dot = dots[row];
                        dots[row] = if wide { Avx512::dot_wide(dot, numbers, x) } else { Avx512::dot(dot, numbers, x) };
                    }
                }
                let scale = Avx512::from_bits(Avx512::load(panel));
                for row in 0..M {
                    let mut sum = Avx512::mul(Avx512::to_floats(dots[row]), scale);
                    if F::OFFSET.is_none() {
                        let minimum = Avx512::from_bits(Avx512::load(panel.add(LINE_BYTES)));
                        sum = Avx512::neg_mul_add(Avx512::splat(f32::from_bits(*corrections.add(row))), minimum, sum);
                    }
                    totals[row] = Avx512::mul_add(sum, Avx512::splat(f32::from_bits(*scales.add(row))), totals[row]);
                }
                panel = panel.add(group_bytes::<F>());
            }
            x = x.add(block_words(M, F::GROUP));
        }
        for row in 0..M {
            Avx512::store(totals[row], sums.add(row * stride));
        }
    }
}

/// Floats of the sums of a tile by so many panels.
pub(super) const fn sums(tile_rows: usize, panels: usize) -> usize {
    tile_rows * panels * PANEL_ROWS
}
