//! The kernel in AVX-512, with operands in f32 (which may be rounded to bf16 before).

use std::arch::x86_64::*;

use super::super::super::operands::Operands;
use super::super::ahead::Ahead;
use super::super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::{Scores, Sums, tile_methods, tiles};
use super::band::{Band, fetch_ahead};
use super::extent::{EXACT_PAIR as PAIR, LANES, ROWS, VECTORS};
use super::lanes512::*;
use super::narrow_exact;

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
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [weights]: [Vector; 1]) {
    // SAFETY: as the caller says.
    unsafe { store(into, if ROUND { round_to_bf16(weights) } else { weights }) }
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
fn pack_keys<const BF16: bool>(round: bool, keys: Band<'_>, into: &mut [f32]) {
    let Band { count, width, .. } = keys;
    let (there, spare) = into[..count.next_multiple_of(ROWS) * width].split_at_mut(count * width);
    for column in (0..width).step_by(16) {
        let mask = first_lanes(width - column);
        let (mut from, stride) = keys.column(column);
        for into in there.chunks_exact_mut(width) {
            fetch_ahead(from, stride);
            // SAFETY: the band's rows, and those that are written, have the values that the mask selects.
            unsafe {
                let values = rounded_if(round, load_row::<BF16>(from, mask));
                _mm512_mask_storeu_ps(into.as_mut_ptr().add(column), mask, values);
            }
            from = from.wrapping_add(stride);
        }
    }
    spare.fill(0.0);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_values<const BF16: bool>(round: bool, values: Band<'_>, into: &mut [f32]) {
    let Band { count, width, .. } = values;
    for (columns, into) in into[..width.div_ceil(ROWS) * count.next_multiple_of(ROWS) * ROWS]
        .chunks_mut(2 * ROWS * count.next_multiple_of(ROWS))
        .enumerate()
    {
        let column = columns * 2 * ROWS;
        let mask = first_lanes(width - column);
        let (mut from, stride) = values.column(column);
        let (low, high) = into.split_at_mut(count.next_multiple_of(ROWS) * ROWS);
        let mut high = high.chunks_exact_mut(ROWS);
        for (row, low) in low.chunks_exact_mut(ROWS).enumerate() {
            let mut values = splat(0.0);
            if row < count {
                fetch_ahead(from, stride);
                // SAFETY: the band's rows have the values that the mask selects.
                values = rounded_if(round, unsafe { load_row::<BF16>(from, mask) });
                from = from.wrapping_add(stride);
            }
            // SAFETY: a panel's rows hold half a vector.
            unsafe { _mm256_storeu_ps(low.as_mut_ptr(), _mm512_castps512_ps256(values)) };
            if let Some(high) = high.next() {
                // SAFETY: the same.
                unsafe { _mm256_storeu_ps(high.as_mut_ptr(), _mm512_extractf32x8_ps::<1>(values)) };
            }
        }
    }
}

impl Kernel for Avx512 {
    tile_methods!(narrow_exact);

    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_queries(self.rounds(), queries, width, into) }
    }

    fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        let keys = Band::new(keys, first, count, width);
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe {
            match keys.is_bf16() {
                true => pack_keys::<true>(self.rounds(), keys, into),
                false => pack_keys::<false>(self.rounds(), keys, into),
            }
        }
    }

    fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        let values = Band::new(values, first, count, width);
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe {
            match values.is_bf16() {
                true => pack_values::<true>(self.rounds(), values, into),
                false => pack_values::<false>(self.rounds(), values, into),
            }
        }
    }

    fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { finish(sums, totals, LANES, rows) }
    }
}
