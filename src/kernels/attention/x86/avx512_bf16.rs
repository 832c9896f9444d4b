//! The kernel in AVX-512 with products of bf16: a word holds two numbers, whose products are added at once.

use std::arch::x86_64::*;

use super::super::Values;
use super::super::ahead::Ahead;
use super::super::kernel::{Kernel, MOST_LANES, ROWS_AHEAD, Softmax, Tile, UNSEEN};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::{tile_methods, tiles};
use super::lanes512::*;

const VECTORS: usize = 3;
const ROWS: usize = 8;
const PAIR: usize = 2;

/// 8 rows by 48 lanes.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512Bf16(());

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_products(sum: Vector, number: Vector, lanes: Vector) -> Vector {
    _mm512_dpbf16_ps(sum, pairs(number), pairs(lanes))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs(words: Vector) -> __m512bh {
    // SAFETY: both are 64 bytes of which any bits are valid.
    unsafe { std::mem::transmute(words) }
}

/// Rounds two rows and takes a number of each into every word, that of `low` into the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn interleaved(low: Vector, high: Vector) -> __m512i {
    interleave(in_order(low, high))
}

/// Rounds two vectors, one after the other.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn in_order(low: Vector, high: Vector) -> __m512i {
    // SAFETY: both are 64 bytes of which any bits are valid.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Words of a number of the lower and one of the upper half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(halves: __m512i) -> __m512i {
    // Index `i` below `16 + i`.
    let order = _mm512_add_epi32(
        _mm512_mullo_epi32(
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            _mm512_set1_epi32(0x1_0001),
        ),
        _mm512_set1_epi32(16 << 16),
    );
    _mm512_permutexvar_epi16(order, halves)
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn store_weights<const ROUND: bool>(into: *mut f32, _lanes: usize, [low, high]: [Vector; 2]) {
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_si512(into.cast(), interleaved(low, high)) }
}

tiles!("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16");

impl Avx512Bf16 {
    /// # Safety
    /// The machine has AVX-512 F, BW, DQ, VL and BF16.
    pub(in super::super) unsafe fn new() -> Self {
        Self(())
    }

    /// Words are rounded in any case.
    fn rounds(self) -> bool {
        true
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_queries(queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
    let depth = width.div_ceil(2);
    assert!(into.len() >= (depth - 1) * LANES + VECTOR);
    assert!(queries.iter().all(|query| query.is_empty() || query.len() == width));
    for word in (0..depth).step_by(16) {
        let mut rows = [splat(0.0); 16];
        for (row, query) in rows.iter_mut().zip(queries) {
            if !query.is_empty() {
                *row = _mm512_castsi512_ps(words_from(Values::F32(query), 2 * word, width - 2 * word));
            }
        }
        for (index, words) in transpose(rows).into_iter().take(depth - word).enumerate() {
            // SAFETY: the length is asserted.
            unsafe { store(into.as_mut_ptr().add((word + index) * LANES), words) };
        }
    }
}

/// Up to 32 numbers of a row, and zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn words_from(values: Values<'_>, start: usize, count: usize) -> __m512i {
    let count = count.min(32);
    match values {
        Values::F32(values) => {
            let values = &values[start..start + count];
            let (low, high) = values.split_at(count.min(16));
            // SAFETY: as many values are read as the slices have.
            unsafe { in_order(load_first(low.as_ptr(), low.len()), load_first(high.as_ptr(), high.len())) }
        }
        Values::Bf16(values) => {
            let values = &values[start..start + count];
            let mask = ((1_u64 << count) - 1) as __mmask32;
            // SAFETY: as many values are read as the slice has.
            unsafe { _mm512_maskz_loadu_epi16(mask, values.as_ptr().cast()) }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_keys(keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
    let depth = width.div_ceil(2);
    let (there, spare) = into[..count.next_multiple_of(ROWS) * depth].split_at_mut(count * depth);
    for (row, into) in (first..).zip(there.chunks_exact_mut(depth)) {
        keys.fetch(row + ROWS_AHEAD, width);
        for word in (0..depth).step_by(16) {
            let words = words_from(keys.values, row * keys.stride + 2 * word, width - 2 * word);
            // SAFETY: words are written up to the row's depth.
            unsafe { _mm512_mask_storeu_epi32(into.as_mut_ptr().add(word).cast(), first_lanes(depth - word), words) };
        }
    }
    spare.fill(0.0);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_values(values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
    let packed = count.next_multiple_of(ROWS) / 2;
    let panels = width.div_ceil(ROWS);
    assert!(into.len() >= panels * packed * ROWS);
    for row in 0..packed {
        values.fetch(first + 2 * row + ROWS_AHEAD, width);
        values.fetch(first + 2 * row + ROWS_AHEAD + 1, width);
        for column in (0..width).step_by(16) {
            let start = (first + 2 * row) * values.stride + column;
            let columns = (width - column).min(16);
            let row_from = |index: usize| {
                let there = 2 * row + index < count;
                if there { values_from(values.values, start + index * values.stride, columns) } else { splat(0.0) }
            };
            let words = interleaved(row_from(0), row_from(1));
            let panel = column / ROWS;
            // SAFETY: the length is asserted; the second half is written if there is a panel for it.
            unsafe {
                let into = into.as_mut_ptr().add((panel * packed + row) * ROWS);
                _mm256_storeu_si256(into.cast(), _mm512_castsi512_si256(words));
                if panel + 1 < panels {
                    _mm256_storeu_si256(into.add(packed * ROWS).cast(), _mm512_extracti64x4_epi64::<1>(words));
                }
            }
        }
    }
}

impl Kernel for Avx512Bf16 {
    tile_methods!();

    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_queries(queries, width, into) }
    }

    fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_keys(keys, first, count, width, into) }
    }

    fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_values(values, first, count, width, into) }
    }

    fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { finish(sums, totals, LANES, rows) }
    }
}
