//! A few rows of activations in 8 bits by a few panels, in products of bytes. Integer sums of a group are exact; then
//! `(scale * sum - minimum * activations) * activations' scale` is added in f32, in the order of the columns.

use super::blocks::{Blocks, GROUPS, Q4K, Q5K, Q6K, Q8_0, Scales};
use super::format::Format;
use super::lanes::{Avx2, Avx512, Lanes};
use super::rounded::{Row, SHARED};
use super::tile::{Tile, for_format, tiles};
use crate::kernels::isa::Isa;

/// The sums of `M` rows and `P` panels, `[M, P, 16]`.
///
/// # Safety
/// `S`'s instructions are there; each of `panels` is a whole one of `columns` columns, 64-byte aligned, and each of `x` a
/// row of as many, rounded for `F`.
#[inline(always)]
unsafe fn tile<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    panels: [*const u8; P],
    columns: usize,
    x: [Row; M],
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
                let column = start + first * F::GROUP;
                group::<S, F, M, P>(blocks, &scales, first, 0, x, column, &mut sums);
                if F::PHASES > 1 {
                    group::<S, F, M, P>(blocks, &scales, first, 1, x, column, &mut sums);
                }
                if F::PHASES > 2 {
                    group::<S, F, M, P>(blocks, &scales, first, 2, x, column, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 3, x, column, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 4, x, column, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 5, x, column, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 6, x, column, &mut sums);
                    group::<S, F, M, P>(blocks, &scales, first, 7, x, column, &mut sums);
                }
            }
        }
        sums
    }
}

/// Adds what group `first + phase` of a block gives; group `first` starts at `column`.
#[inline(always)]
unsafe fn group<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    blocks: [*const u8; P],
    scales: &[Scales<S>; P],
    first: usize,
    phase: usize,
    x: [Row; M],
    column: usize,
    sums: &mut [[S::Floats; P]; M],
) {
    // SAFETY: the caller's.
    unsafe {
        let (group, column) = (first + phase, column + phase * F::GROUP);
        let wide = F::OFFSET == Some(128);
        let corrected = F::OFFSET.is_some() && !(wide && S::WIDE_IS_SIGNED);
        let mut dots = x.map(|x| {
            let start = if corrected { x.corrections.add(column / F::GROUP).read().cast_unsigned() } else { 0 };
            [S::words(start); P]
        });
        for quad in 0..F::GROUP / 4 {
            let numbers = blocks.map(|block| F::quad(block, group, phase, quad));
            for row in 0..M {
                let x = x[row].numbers.add(column + quad * 4);
                for panel in 0..P {
                    let dots = &mut dots[row][panel];
                    *dots = if wide { S::dot_wide(*dots, numbers[panel], x) } else { S::dot(*dots, numbers[panel], x) };
                }
            }
        }
        for row in 0..M {
            let shared = column / SHARED;
            let scale = S::splat(*x[row].scales.add(shared));
            for panel in 0..P {
                let dots = S::to_floats(dots[row][panel]);
                let mut sum = S::mul(dots, scales[panel].scales[group]);
                if F::OFFSET.is_none() {
                    let x = S::splat(*x[row].sums.add(shared));
                    sum = S::neg_mul_add(x, scales[panel].minima[group], sum);
                }
                sums[row][panel] = S::mul_add(sum, scale, sums[row][panel]);
            }
        }
    }
}

tiles!(avx2, "avx2,fma,f16c", Avx2, Row);
tiles!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", Avx512, Row);

fn tile_avx512<F: Blocks<Avx512>>(rows: usize) -> Tile<Row> {
    match rows {
        0..2 => Tile { rows: 1, panels: 2, run: avx512::<F, 1, 2> },
        2..4 => Tile { rows: 2, panels: 2, run: avx512::<F, 2, 2> },
        4..8 => Tile { rows: 4, panels: 2, run: avx512::<F, 4, 2> },
        _ => Tile { rows: 8, panels: 1, run: avx512::<F, 8, 1> },
    }
}

fn tile_avx2<F: Blocks<Avx2>>(rows: usize) -> Tile<Row> {
    match rows {
        0..2 => Tile { rows: 1, panels: 1, run: avx2::<F, 1, 1> },
        2..4 => Tile { rows: 2, panels: 1, run: avx2::<F, 2, 1> },
        _ => Tile { rows: 4, panels: 1, run: avx2::<F, 4, 1> },
    }
}

/// The largest tile of at most so many rows; none in plain Rust.
pub(super) fn best(isa: Isa, format: Format, rows: usize) -> Option<Tile<Row>> {
    match isa {
        Isa::Plain => None,
        isa if isa >= Isa::Avx512Bf16 => Some(for_format!(format, tile_avx512, rows)),
        _ => Some(for_format!(format, tile_avx2, rows)),
    }
}
