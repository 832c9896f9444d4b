//! A few rows of activations by a few panels, exactly: weights are widened in registers, nothing is rounded before it is
//! multiplied. Each output is one chain of additions over the columns in order, as in [`product`](crate::kernels::product).

use super::blocks::{Blocks, GROUPS, Q4K, Q5K, Q6K, Q8_0, Scales, byte};
use super::format::Format;
use super::lanes::{Avx2, Avx512, Lanes};
use super::tile::{Tile, for_format, tiles};
use crate::kernels::isa::Isa;

/// The sums of `M` rows and `P` panels, `[M, P, 16]`.
///
/// # Safety
/// `S`'s instructions are there; each of `panels` is a whole one of `columns` columns, 64-byte aligned, and each of `x`
/// has as many values.
#[inline(always)]
unsafe fn tile<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    panels: [*const u8; P],
    columns: usize,
    x: [*const f32; M],
) -> [[S::Floats; P]; M] {
    // SAFETY: columns are whole groups, and blocks and values up to `columns` are there.
    unsafe {
        let zero = S::splat(0.0);
        let mut sums = [[zero; P]; M];
        let mut scales = [const { () }; P].map(|()| Scales::<S> { scales: [zero; GROUPS], minima: [zero; GROUPS] });
        for start in (0..columns).step_by(F::COLUMNS) {
            let blocks = panels.map(|panel| panel.add(start / F::COLUMNS * F::BYTES));
            for panel in 0..P {
                F::scales(blocks[panel], &mut scales[panel]);
            }
            let groups = F::COLUMNS.min(columns - start) / F::GROUP;
            for first in (0..groups).step_by(F::PHASES) {
                let x = x.map(|x| x.add(start + first * F::GROUP));
                group::<S, F, M, P>(blocks, &scales, first, 0, x, &mut sums);
                if F::PHASES > 1 {
                    group::<S, F, M, P>(blocks, &scales, first, 1, x, &mut sums);
                }
                if F::PHASES > 2 {
                    group::<S, F, M, P>(blocks, &scales, first, 2, x, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 3, x, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 4, x, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 5, x, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 6, x, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 7, x, &mut sums);
                }
            }
        }
        sums
    }
}

/// Adds the products of group `first + phase` of a block; `x` is at group `first`.
#[inline(always)]
unsafe fn group<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    blocks: [*const u8; P],
    scales: &[Scales<S>; P],
    first: usize,
    phase: usize,
    x: [*const f32; M],
    sums: &mut [[S::Floats; P]; M],
) {
    // SAFETY: the caller's.
    unsafe {
        let group = first + phase;
        let x = x.map(|x| x.add(phase * F::GROUP));
        let of: [_; P] = std::array::from_fn(|panel| scales[panel].group::<F>(group));
        for quad in 0..F::GROUP / 4 {
            let numbers = blocks.map(|block| F::quad(block, group, phase, quad));
            for column in 0..4 {
                let x = x.map(|x| S::splat(*x.add(quad * 4 + column)));
                for panel in 0..P {
                    let number = S::to_floats(byte::<S>(numbers[panel], column));
                    let weight = S::mul_sub(number, of[panel].0, of[panel].1);
                    for row in 0..M {
                        sums[row][panel] = S::mul_add(weight, x[row], sums[row][panel]);
                    }
                }
            }
        }
    }
}

tiles!(avx2, "avx2,fma,f16c", Avx2, *const f32);
tiles!(avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512, *const f32);

fn tile_avx512<F: Blocks<Avx512>>(rows: usize) -> Tile<*const f32> {
    match rows {
        0..2 => Tile { rows: 1, panels: 4, run: avx512::<F, 1, 4> },
        2..4 => Tile { rows: 2, panels: 4, run: avx512::<F, 2, 4> },
        4..8 => Tile { rows: 4, panels: 4, run: avx512::<F, 4, 4> },
        _ => Tile { rows: 8, panels: 2, run: avx512::<F, 8, 2> },
    }
}

fn tile_avx2<F: Blocks<Avx2>>(rows: usize) -> Tile<*const f32> {
    match rows {
        0..2 => Tile { rows: 1, panels: 2, run: avx2::<F, 1, 2> },
        2..4 => Tile { rows: 2, panels: 2, run: avx2::<F, 2, 2> },
        _ => Tile { rows: 4, panels: 1, run: avx2::<F, 4, 1> },
    }
}

/// The largest tile of at most so many rows; none in plain Rust.
pub(super) fn best(isa: Isa, format: Format, rows: usize) -> Option<Tile<*const f32>> {
    match isa {
        Isa::Plain => None,
        isa if isa >= Isa::Avx512 => Some(for_format!(format, tile_avx512, rows)),
        _ => Some(for_format!(format, tile_avx2, rows)),
    }
}
