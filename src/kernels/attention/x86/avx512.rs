//! The kernel in AVX-512, with operands in f32 (which may be rounded to bf16 before).

use std::arch::x86_64::*;

use super::super::super::operands::Operands;
use super::super::ahead::Ahead;
use super::super::kernel::{Kernel, MOST_LANES, ROWS_AHEAD, Softmax, Tile, UNSEEN};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::{tile_methods, tiles};
use super::lanes512::*;

const VECTORS: usize = 3;
const ROWS: usize = 8;
const PAIR: usize = 1;

/// 8 rows by 48 lanes.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512 {
    operands: Operands,
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    _mm512_fmadd_ps(number, lanes, sum)
}

/// # Safety
/// Two rows of weights can be written, `lanes` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, lanes: usize, pair: [Vector; 2]) {
    // SAFETY: as the caller says.
    unsafe {
        for (row, weights) in pair.into_iter().enumerate() {
            store(into.add(row * lanes), if ROUND { round_to_bf16(weights) } else { weights });
        }
    }
}

tiles!("avx512f,avx512bw,avx512dq,avx512vl");

impl Avx512 {
    /// # Safety
    /// The machine has AVX-512 F, BW, DQ and VL.
    pub(in super::super) unsafe fn new(operands: Operands) -> Self {
        Self { operands }
    }

    fn rounds(self) -> bool {
        self.operands == Operands::Bf16
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rounded_if(round: bool, values: Vector) -> Vector {
    if round { round_to_bf16(values) } else { values }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_queries(round: bool, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
    assert!(into.len() >= (width - 1) * LANES + VECTOR);
    assert!(queries.iter().all(|query| query.is_empty() || query.len() == width));
    for column in (0..width).step_by(16) {
        let count = (width - column).min(16);
        let mut rows = [splat(0.0); 16];
        for (row, query) in rows.iter_mut().zip(queries) {
            if !query.is_empty() {
                // SAFETY: the query has `count` values from `column` on.
                *row = rounded_if(round, unsafe { load_first(query.as_ptr().add(column), count) });
            }
        }
        for (index, values) in transpose(rows).into_iter().take(count).enumerate() {
            // SAFETY: the length is asserted.
            unsafe { store(into.as_mut_ptr().add((column + index) * LANES), values) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_keys(round: bool, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
    let (there, spare) = into[..count.next_multiple_of(ROWS) * width].split_at_mut(count * width);
    for (row, into) in (first..).zip(there.chunks_exact_mut(width)) {
        keys.fetch(row + ROWS_AHEAD, width);
        for column in (0..width).step_by(16) {
            let count = (width - column).min(16);
            let values = rounded_if(round, values_from(keys.values, row * keys.stride + column, count));
            // SAFETY: the row has `count` values from `column` on.
            unsafe { _mm512_mask_storeu_ps(into.as_mut_ptr().add(column), first_lanes(count), values) };
        }
    }
    spare.fill(0.0);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_values(round: bool, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
    let packed = count.next_multiple_of(ROWS);
    let panels = width.div_ceil(ROWS);
    assert!(into.len() >= panels * packed * ROWS);
    for row in 0..packed {
        values.fetch(first + row + ROWS_AHEAD, width);
        for column in (0..width).step_by(16) {
            let there = row < count;
            let start = (first + row) * values.stride + column;
            let pair = if there { values_from(values.values, start, width - column) } else { splat(0.0) };
            let pair = rounded_if(round, pair);
            let panel = column / ROWS;
            // SAFETY: the length is asserted; the second half is written if there is a panel for it.
            unsafe {
                let into = into.as_mut_ptr().add((panel * packed + row) * ROWS);
                _mm256_storeu_ps(into, _mm512_castps512_ps256(pair));
                if panel + 1 < panels {
                    _mm256_storeu_ps(into.add(packed * ROWS), _mm512_extractf32x8_ps::<1>(pair));
                }
            }
        }
    }
}

impl Kernel for Avx512 {
    tile_methods!();

    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_queries(self.rounds(), queries, width, into) }
    }

    fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_keys(self.rounds(), keys, first, count, width, into) }
    }

    fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_values(self.rounds(), values, first, count, width, into) }
    }

    fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { finish(sums, totals, LANES, rows) }
    }
}
