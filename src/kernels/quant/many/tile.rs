//! A tile of many rows in bytes: up to 12 rows by a panel (6 in NEON), in a chunk of columns.
//!
//! The sums are those of [`bytes`](super::super::bytes), to the bit: integers of a group are exact, and what is done
//! with them in f32 is the same in the same order.

use super::super::blocks::Blocks;
use super::super::format::LINE_BYTES;
use super::super::lanes::Lanes;
use super::super::rounded::SHARED;
use super::Wide;
use super::rows::block_words;
use super::unpacked::{first_quad, group_bytes};
use crate::kernels::panels::PANEL_ROWS;

/// The most rows of a tile: with as many integers and as many sums there are registers left for what is read.
#[cfg(target_arch = "x86_64")]
pub(super) const MOST_TILE_ROWS: usize = 12;
/// The most rows of a tile. Its integers take four registers a row; sums wait in the cache.
#[cfg(target_arch = "aarch64")]
pub(super) const MOST_TILE_ROWS: usize = 6;

/// Multiplies by a panel, and adds to the sums: takes the unpacked panel, blocks of columns, the rows, the sums, and
/// the floats from the sums of one row to those of the next.
pub(super) type Run = unsafe fn(*const u8, usize, *const u32, *mut f32, usize);

/// The tile of so many rows.
pub(super) fn tile_of<F: Blocks<Wide>>(rows: usize) -> Run {
    match rows {
        // Twelve rows or more are cut into tiles of at least seven, or, where six are the most, five.
        #[cfg(target_arch = "aarch64")]
        5 => run::<F, 5>,
        #[cfg(target_arch = "x86_64")]
        7 => run::<F, 7>,
        #[cfg(target_arch = "x86_64")]
        8 => run::<F, 8>,
        #[cfg(target_arch = "x86_64")]
        9 => run::<F, 9>,
        #[cfg(target_arch = "x86_64")]
        10 => run::<F, 10>,
        #[cfg(target_arch = "x86_64")]
        11 => run::<F, 11>,
        MOST_TILE_ROWS => run::<F, MOST_TILE_ROWS>,
        _ => unreachable!("a tile of {rows} rows"),
    }
}

/// # Safety
/// The instructions are there. The panel is unpacked from `F`; it and the rows have so many blocks of columns, and the
/// rows are rounded for `F`; there are 16 sums of each row; panel and sums are 64-byte aligned.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon,dotprod"))]
#[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined, and loops look alike")]
unsafe fn run<F: Blocks<Wide>, const M: usize>(
    mut panel: *const u8,
    blocks: usize,
    mut x: *const u32,
    sums: *mut f32,
    stride: usize,
) {
    let wide = F::OFFSET == Some(128);
    let corrected = F::OFFSET.is_some() && !(wide && Wide::WIDE_IS_SIGNED);
    // SAFETY: the caller's.
    unsafe {
        let mut totals = [Wide::splat(0.0); M];
        for row in 0..M {
            totals[row] = Wide::from_bits(Wide::load(sums.add(row * stride).cast()));
        }
        for _ in 0..blocks {
            let scales = x.add(M * SHARED / 4);
            for group in 0..SHARED / F::GROUP {
                let corrections = scales.add(M + group * M);
                let mut dots = [Wide::words(0); M];
                if corrected {
                    for row in 0..M {
                        dots[row] = Wide::words(*corrections.add(row));
                    }
                }
                for quad in 0..F::GROUP / 4 {
                    let numbers = Wide::load(panel.add((first_quad::<F>() + quad) * LINE_BYTES));
                    for row in 0..M {
                        let x = x.add((row * SHARED + group * F::GROUP) / 4 + quad).cast();
                        let dot = dots[row];
                        dots[row] = if wide { Wide::dot_wide(dot, numbers, x) } else { Wide::dot(dot, numbers, x) };
                    }
                }
                let scale = Wide::from_bits(Wide::load(panel));
                for row in 0..M {
                    let mut sum = Wide::mul(Wide::to_floats(dots[row]), scale);
                    if F::OFFSET.is_none() {
                        let minimum = Wide::from_bits(Wide::load(panel.add(LINE_BYTES)));
                        sum = Wide::neg_mul_add(Wide::splat(f32::from_bits(*corrections.add(row))), minimum, sum);
                    }
                    totals[row] = Wide::mul_add(sum, Wide::splat(f32::from_bits(*scales.add(row))), totals[row]);
                }
                panel = panel.add(group_bytes::<F>());
            }
            x = x.add(block_words(M, F::GROUP));
        }
        for row in 0..M {
            Wide::store(totals[row], sums.add(row * stride));
        }
    }
}

/// Floats of the sums of a tile by so many panels.
pub(super) const fn sums(tile_rows: usize, panels: usize) -> usize {
    tile_rows * panels * PANEL_ROWS
}
