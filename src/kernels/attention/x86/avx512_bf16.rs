//! The kernel in AVX-512 with products of bf16: a word holds two numbers, whose products are added at once.

use std::arch::x86_64::*;

use super::super::ahead::Ahead;
use super::super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::{Scores, Sums, tile_methods, tiles};
use super::band::{Band, fetch_ahead};
use super::extent::{BF16_PAIR as PAIR, LANES, ROWS, VECTORS};
use super::lanes512::*;
use super::narrow_bf16;

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

/// Rounds two vectors, one after the other.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn in_order(low: Vector, high: Vector) -> __m512i {
    // SAFETY: both are 64 bytes of which any bits are valid.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Words of a number of the lower half and one of the upper.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pair_up(halves: __m512i) -> __m512i {
    _mm512_permutexvar_epi16(order(16), halves)
}

/// For two rows of 32 numbers, words of a number of each, that of `low` in the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(low: __m512i, high: __m512i) -> [__m256i; 4] {
    let first = _mm512_permutex2var_epi16(low, order(32), high);
    let second = _mm512_permutex2var_epi16(low, _mm512_add_epi16(order(32), _mm512_set1_epi16(16)), high);
    let half = |words, upper| if upper { _mm512_extracti64x4_epi64::<1>(words) } else { _mm512_castsi512_si256(words) };
    [half(first, false), half(first, true), half(second, false), half(second, true)]
}

/// Words of the indices `i` and `distance + i`, for `i` from 0 to 15.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn order(distance: i32) -> __m512i {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_add_epi32(_mm512_mullo_epi32(lanes, _mm512_set1_epi32(0x1_0001)), _mm512_set1_epi32(distance << 16))
}

/// # Safety
/// A row of words can be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn store_weights<const ROUND: bool>(into: *mut f32, [low, high]: [Vector; 2]) {
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_si512(into.cast(), pair_up(in_order(low, high))) }
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

/// Packs queries to `[depth][lanes]`, zeros beyond their width.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) fn pack_queries<const LANES: usize>(
    queries: &[&[f32]; MOST_LANES],
    width: usize,
    depth: usize,
    into: &mut [f32],
) {
    assert!(into.len() >= (depth - 1) * LANES + VECTOR && depth < width.div_ceil(2) + 16);
    assert!(queries.iter().all(|query| query.is_empty() || query.len() == width));
    for word in (0..depth).step_by(16) {
        let mut rows = [splat(0.0); 16];
        for (row, query) in rows.iter_mut().zip(queries) {
            if !query.is_empty() {
                let from = query.as_ptr().wrapping_add(2 * word);
                // SAFETY: the query has the values that the mask selects.
                let words = unsafe { load_words::<false>(from.cast(), first_numbers(width - 2 * word)) };
                *row = _mm512_castsi512_ps(words);
            }
        }
        for (index, words) in transpose(rows).into_iter().take(depth - word).enumerate() {
            // SAFETY: the length is asserted.
            unsafe { store(into.as_mut_ptr().add((word + index) * LANES), words) };
        }
    }
}

/// The numbers of a row that `mask` selects of 32, as bf16, and zeros.
///
/// # Safety
/// They can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn load_words<const BF16: bool>(row: *const u8, mask: __mmask32) -> __m512i {
    // SAFETY: lanes that are masked out are not read.
    unsafe {
        if BF16 {
            _mm512_maskz_loadu_epi16(mask, row.cast())
        } else {
            let upper = load_row::<false>(row.wrapping_add(64), (mask >> 16) as __mmask16);
            in_order(load_row::<false>(row, mask as __mmask16), upper)
        }
    }
}

/// The first `count` of 32 numbers.
#[inline]
pub(super) fn first_numbers(count: usize) -> __mmask32 {
    ((1_u64 << count.min(32)) - 1) as __mmask32
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_keys<const BF16: bool>(keys: Band<'_>, into: &mut [f32]) {
    let depth = keys.width.div_ceil(2);
    let (there, spare) = into[..keys.count.next_multiple_of(ROWS) * depth].split_at_mut(keys.count * depth);
    for word in (0..depth).step_by(16) {
        let mask = first_numbers(keys.width - 2 * word);
        let (mut from, stride) = keys.column(2 * word);
        for into in there.chunks_exact_mut(depth) {
            fetch_ahead(from, stride);
            // SAFETY: the band's rows have the values that the mask selects; words are written up to the row's depth.
            unsafe {
                let words = load_words::<BF16>(from, mask);
                _mm512_mask_storeu_epi32(into.as_mut_ptr().add(word).cast(), first_lanes(depth - word), words);
            }
            from = from.wrapping_add(stride);
        }
    }
    spare.fill(0.0);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_values<const BF16: bool>(values: Band<'_>, into: &mut [f32]) {
    let panel = values.count.next_multiple_of(ROWS) / 2 * ROWS;
    let panels = &mut into[..values.width.div_ceil(ROWS) * panel];
    for (index, panels) in panels.chunks_mut(4 * panel).enumerate() {
        match panels.len() / panel {
            1 => pack_panels::<BF16, 1>(values, index * 4 * ROWS, panels),
            2 => pack_panels::<BF16, 2>(values, index * 4 * ROWS, panels),
            3 => pack_panels::<BF16, 3>(values, index * 4 * ROWS, panels),
            _ => pack_panels::<BF16, 4>(values, index * 4 * ROWS, panels),
        }
    }
}

/// Packs the values from `column` on to the given panels, at most four.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_panels<const BF16: bool, const PANELS: usize>(values: Band<'_>, column: usize, into: &mut [f32]) {
    let mask = first_numbers(values.width - column);
    let (mut from, stride) = values.column(column);
    let pairs = values.count.next_multiple_of(ROWS) / 2;
    assert_eq!(into.len(), PANELS * pairs * ROWS);
    for pair in 0..pairs {
        fetch_ahead(from, stride);
        fetch_ahead(from.wrapping_add(stride), stride);
        let mask_of = |row| if row < values.count { mask } else { 0 };
        // SAFETY: the band's rows have the values that the mask selects; the length of what is written is asserted.
        unsafe {
            let low = load_words::<BF16>(from, mask_of(2 * pair));
            let high = load_words::<BF16>(from.wrapping_add(stride), mask_of(2 * pair + 1));
            for (panel, words) in interleave(low, high).into_iter().enumerate().take(PANELS) {
                _mm256_storeu_si256(into.as_mut_ptr().add((panel * pairs + pair) * ROWS).cast(), words);
            }
        }
        from = from.wrapping_add(2 * stride);
    }
}

impl Kernel for Avx512Bf16 {
    tile_methods!(narrow_bf16);

    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_queries::<LANES>(queries, width, width.div_ceil(PAIR), into) }
    }

    fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        let keys = Band::new(keys, first, count, width);
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe {
            match keys.is_bf16() {
                true => pack_keys::<true>(keys, into),
                false => pack_keys::<false>(keys, into),
            }
        }
    }

    fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
        let values = Band::new(values, first, count, width);
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe {
            match values.is_bf16() {
                true => pack_values::<true>(values, into),
                false => pack_values::<false>(values, into),
            }
        }
    }

    fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { finish(sums, totals, LANES, rows) }
    }
}
