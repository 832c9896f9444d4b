//! The kernel in the matrix unit: products in tiles, and the softmax between them in AVX-512.

use std::arch::x86_64::*;

use super::super::super::amx::{TILE_ROWS, Tiles};
use super::super::ahead::Ahead;
use super::super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::super::problem::{OutRow, Rows};
use super::super::tiles::softmax;
use super::amx_block::{Block, multiply as multiply_tiles};
use super::avx512_bf16::{first_numbers, load_words, order, pack_queries, store_weights};
use super::band::{Band, fetch_ahead};
use super::extent::BF16_PAIR as PAIR;
use super::lanes512::*;

const LANES: usize = 2 * VECTOR;
/// Keys of a step: the words of a tile's row are pairs of them.
const ROWS: usize = 2 * TILE_ROWS;
/// Words of a row of a tile.
const WORDS: usize = 16;
/// Values of a tile.
const TILE: usize = TILE_ROWS * WORDS;

/// 32 rows by 32 lanes.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Amx(());

softmax!("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16");

impl Amx {
    /// # Safety
    /// The machine has AVX-512 F, BW, DQ, VL and BF16, and tiles.
    pub(in super::super) unsafe fn new() -> Self {
        Self(())
    }
}

/// Packs keys to tiles, `[keys / 16][depth / 16][16][16]`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_keys<const BF16: bool>(keys: Band<'_>, into: &mut [f32]) {
    let tiles = keys.width.div_ceil(PAIR * WORDS);
    let rows = keys.count.next_multiple_of(ROWS);
    let into = &mut into[..rows / TILE_ROWS * tiles * TILE];
    for tile in 0..tiles {
        let column = tile * PAIR * WORDS;
        let mask = first_numbers(keys.width - column);
        let (mut from, stride) = keys.column(column);
        for row in 0..rows {
            fetch_ahead(from, stride);
            let at = (row / TILE_ROWS * tiles + tile) * TILE + row % TILE_ROWS * WORDS;
            let mask = if row < keys.count { mask } else { 0 };
            // SAFETY: the band's rows have the values that the mask selects; the place is in one of the tiles.
            unsafe {
                let words = load_words::<BF16>(from, mask);
                store(into.as_mut_ptr().add(at), _mm512_castsi512_ps(words));
            }
            from = from.wrapping_add(stride);
        }
    }
}

/// Packs values to tiles whose rows are dims and whose words pairs of keys: `[dims / 16][keys / 32][16][16]`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_values<const BF16: bool>(values: Band<'_>, into: &mut [f32]) {
    let (steps, dim_tiles) = (values.count.div_ceil(ROWS), values.width.div_ceil(TILE_ROWS));
    let into = &mut into[..dim_tiles * steps * TILE];
    let upper = _mm512_add_epi16(order(32), _mm512_set1_epi16(16));
    for column in (0..values.width).step_by(2 * TILE_ROWS) {
        let mask = first_numbers(values.width - column);
        let (mut from, stride) = values.column(column);
        for step in 0..steps {
            let mut halves = [[splat(0.0); 16]; 2];
            let [first, second] = &mut halves;
            for (pair, (first, second)) in first.iter_mut().zip(second).enumerate() {
                fetch_ahead(from, stride);
                fetch_ahead(from.wrapping_add(stride), stride);
                let row = step * ROWS + 2 * pair;
                let mask_of = |row| if row < values.count { mask } else { 0 };
                // SAFETY: the band's rows have the values that the mask selects.
                let (low, high) = unsafe {
                    let high = load_words::<BF16>(from.wrapping_add(stride), mask_of(row + 1));
                    (load_words::<BF16>(from, mask_of(row)), high)
                };
                *first = _mm512_castsi512_ps(_mm512_permutex2var_epi16(low, order(32), high));
                *second = _mm512_castsi512_ps(_mm512_permutex2var_epi16(low, upper, high));
                from = from.wrapping_add(2 * stride);
            }
            for (half, pairs) in halves.into_iter().enumerate() {
                let tile = column / TILE_ROWS + half;
                if tile < dim_tiles {
                    let into = &mut into[(tile * steps + step) * TILE..][..TILE];
                    for (dim, words) in transpose(pairs).into_iter().enumerate() {
                        // SAFETY: a tile has a row for each.
                        unsafe { store(into.as_mut_ptr().add(dim * WORDS), words) };
                    }
                }
            }
        }
    }
}

/// Hides the keys that lanes do not see, and finds the highest score of each lane of `N` vectors.
///
/// # Safety
/// The slices behind the pointers are as [`Kernel::scores`] says, for `N` vectors of lanes.
#[target_feature(enable = "avx512f")]
unsafe fn highest<const N: usize>(keys: usize, limits: *const i32, all_see: i32, scores: *mut f32, into: *mut f32) {
    let mut high = [splat(UNSEEN); N];
    // SAFETY: all offsets lie within the slices, as the caller says.
    unsafe {
        for key in 0..keys {
            for (vector, high) in high.iter_mut().enumerate() {
                let at = scores.add(key * LANES + vector * VECTOR);
                let mut score = load(at);
                if key as i32 >= all_see {
                    score = where_below(limits.add(vector * VECTOR), key as i32, score, splat(UNSEEN));
                    store(at, score);
                }
                *high = max(*high, score);
            }
        }
        for (vector, high) in high.into_iter().enumerate() {
            store(into.add(vector * VECTOR), high);
        }
    }
}

/// Multiplies the sums of `N` vectors of lanes.
///
/// # Safety
/// There are sums of so many dims, `[dims][LANES]`, and a factor for each lane.
#[target_feature(enable = "avx512f")]
unsafe fn scale<const N: usize>(sums: *mut f32, dims: usize, factors: *const f32) {
    for dim in 0..dims {
        for vector in 0..N {
            // SAFETY: as the caller says.
            unsafe {
                let at = sums.add(dim * LANES + vector * VECTOR);
                store(at, multiply(load(at), load(factors.add(vector * VECTOR))));
            }
        }
    }
}

impl Kernel for Amx {
    const VECTOR: usize = VECTOR;
    const LANES: usize = LANES;
    const ROWS: usize = ROWS;
    const PAIR: usize = PAIR;
    const DIMS: usize = TILE_ROWS;
    const WORDS: usize = WORDS;

    type SetUp = Tiles;

    fn set_up(self) -> Tiles {
        // SAFETY: a value of this type says that the machine has tiles.
        unsafe { Tiles::set_up(TILE_ROWS) }
    }

    fn scores(
        self,
        tile: Tile,
        queries: &[f32],
        keys: &[f32],
        limits: &[i32],
        all_see: i32,
        scores: &mut [f32],
        highest: &mut [f32],
        ahead: &Ahead<'_>,
    ) {
        assert!(tile.keys.is_multiple_of(ROWS) && tile.depth.is_multiple_of(WORDS));
        assert!(queries.len() >= tile.depth * LANES && keys.len() >= tile.keys * tile.depth);
        assert!(scores.len() >= tile.keys * LANES && limits.len() >= LANES && highest.len() >= LANES);
        let vectors = tile.lanes.div_ceil(VECTOR);
        for key in (0..tile.keys).step_by(ROWS) {
            ahead.fetch_in_scores(key..key + ROWS, tile.keys);
            let block = Block {
                rows: keys[key * tile.depth..].as_ptr(),
                rows_next: TILE_ROWS * tile.depth * size_of::<f32>(),
                lanes: queries.as_ptr(),
                lane_stride: LANES * size_of::<f32>(),
                steps: tile.depth / WORDS,
                sums: scores[key * LANES..].as_mut_ptr(),
                resume: false,
            };
            // SAFETY: tiles are set up while an item is attended to; the lengths are asserted.
            unsafe { multiply_tiles(&block, 2, vectors) };
        }
        let (limits, scores, into) = (limits.as_ptr(), scores.as_mut_ptr(), highest.as_mut_ptr());
        // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
        unsafe {
            match vectors {
                1 => self::highest::<1>(tile.keys, limits, all_see, scores, into),
                _ => self::highest::<2>(tile.keys, limits, all_see, scores, into),
            }
        }
    }

    fn weights(self, tile: Tile, scale: f32, scores: &mut [f32], softmax: &mut Softmax<'_>) -> bool {
        assert!(tile.keys.is_multiple_of(ROWS) && scores.len() >= tile.keys * LANES);
        assert!(softmax.highest.len() >= LANES && softmax.level.len() >= LANES);
        assert!(softmax.total.len() >= LANES && softmax.rescale.len() >= LANES);
        let scores = scores.as_mut_ptr();
        // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
        unsafe {
            match tile.lanes.div_ceil(VECTOR) {
                1 => self::weights::<1, true>(tile, scale, scores, softmax),
                _ => self::weights::<2, true>(tile, scale, scores, softmax),
            }
        }
    }

    fn accumulate(
        self,
        tile: Tile,
        values: &[f32],
        weights: &[f32],
        rescale: Option<&[f32]>,
        sums: &mut [f32],
        ahead: &Ahead<'_>,
    ) {
        assert!(tile.keys.is_multiple_of(ROWS) && tile.packed.is_multiple_of(ROWS) && tile.keys <= tile.packed);
        assert!(tile.keys > 0 && tile.dims.is_multiple_of(TILE_ROWS));
        assert!(values.len() >= tile.packed / PAIR * tile.dims && weights.len() >= tile.keys / PAIR * LANES);
        assert!(sums.len() >= tile.dims * LANES && rescale.is_none_or(|rescale| rescale.len() >= LANES));
        let vectors = tile.lanes.div_ceil(VECTOR);
        if let (false, Some(factors)) = (tile.first, rescale) {
            let (sums, factors) = (sums.as_mut_ptr(), factors.as_ptr());
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match vectors {
                    1 => scale::<1>(sums, tile.dims, factors),
                    _ => scale::<2>(sums, tile.dims, factors),
                }
            }
        }
        for dim in (0..tile.dims).step_by(2 * TILE_ROWS) {
            let dims = (2 * TILE_ROWS).min(tile.dims - dim);
            ahead.fetch_in_sums(dim..dim + dims, tile.dims);
            let of_tile = tile.packed / PAIR * TILE_ROWS;
            let block = Block {
                rows: values[dim / TILE_ROWS * of_tile..].as_ptr(),
                rows_next: of_tile * size_of::<f32>(),
                lanes: weights.as_ptr(),
                lane_stride: LANES * size_of::<f32>(),
                steps: tile.keys / ROWS,
                sums: sums[dim * LANES..].as_mut_ptr(),
                resume: !tile.first,
            };
            // SAFETY: tiles are set up while an item is attended to; the lengths are asserted.
            unsafe { multiply_tiles(&block, dims / TILE_ROWS, vectors) };
        }
    }

    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
        let depth = width.div_ceil(PAIR).next_multiple_of(WORDS);
        // SAFETY: a value of this type says that the machine has the instructions.
        unsafe { pack_queries::<LANES>(queries, width, depth, into) }
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
