//! Many rows of activations in 8 bits, in the order in which tiles read them.

use super::super::format::Format;
use super::super::rounded::{SHARED, offset_corrections, round};
use crate::kernels::isa::Isa;
use crate::kernels::out::{Disjoint, Value};
use crate::kernels::pool;
use crate::kernels::values::Values;

/// Columns of a chunk, a multiple of every format's blocks.
pub(super) const CHUNK_COLUMNS: usize = 512;
/// Blocks of a chunk: 32 columns, which share a scale.
const CHUNK_BLOCKS: usize = CHUNK_COLUMNS / SHARED;

/// Rows, rounded. A block has the numbers of all rows of a tile, then their scales, then for each group of the weights
/// what its sums are corrected by: the sum of the numbers, as f32, or, for weights with an offset, that sum times the
/// offset, negated, as i32. The blocks of a chunk lie together, and the tiles of a chunk.
#[derive(Debug, Default)]
pub(super) struct TiledRows {
    words: Vec<u32>,
}

/// How rows are cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) rows: usize,
    columns: usize,
    pub(super) tile_rows: usize,
    /// Columns of a group of the weights, and what their numbers are too large by, if anything.
    group: usize,
    offset: Option<i32>,
}

impl Layout {
    /// `rows` of so many columns in tiles of at most `most_tile_rows`, for weights of a format.
    pub(super) fn new(format: Format, rows: usize, columns: usize, most_tile_rows: usize) -> Self {
        assert!(rows > 0 && columns.is_multiple_of(SHARED), "{rows} rows of {columns}");
        // Tiles of equal height rather than a short last one.
        let tile_rows = rows.div_ceil(rows.div_ceil(most_tile_rows));
        Self { rows, columns, tile_rows, group: format.group(), offset: format.offset() }
    }

    pub(super) fn tiles(&self) -> usize {
        self.rows.div_ceil(self.tile_rows)
    }

    pub(super) fn chunks(&self) -> usize {
        self.columns.div_ceil(CHUNK_COLUMNS)
    }

    /// Columns of a chunk, of which the last may have fewer.
    pub(super) fn chunk_columns(&self, chunk: usize) -> usize {
        CHUNK_COLUMNS.min(self.columns - chunk * CHUNK_COLUMNS)
    }

    /// Where the words of a tile begin in a chunk, and how many there are.
    fn part(&self, chunk: usize, tile: usize) -> (usize, usize) {
        let (blocks, words) = (self.chunk_columns(chunk) / SHARED, block_words(self.tile_rows, self.group));
        ((chunk * CHUNK_BLOCKS * self.tiles() + tile * blocks) * words, blocks * words)
    }
}

/// Words of a block of so many rows.
pub(super) const fn block_words(rows: usize, group: usize) -> usize {
    rows * (SHARED / 4 + 1 + SHARED / group)
}

impl TiledRows {
    /// Rounds rows, `[rows, columns]`.
    pub(super) fn round(&mut self, isa: Isa, x: Values<'_>, layout: Layout) {
        let len = layout.tiles() * layout.columns / SHARED * block_words(layout.tile_rows, layout.group);
        self.words.resize(len, 0);
        let words = Disjoint::new(&mut self.words);
        pool::run(layout.tiles(), |tile| {
            let first = tile * layout.tile_rows;
            let values = first * layout.columns..layout.rows.min(first + layout.tile_rows) * layout.columns;
            for chunk in 0..layout.chunks() {
                let (start, len) = layout.part(chunk, tile);
                // SAFETY: the parts of tiles and chunks do not overlap, and each task has its own tile.
                let words = unsafe { words.part(start, len) };
                match x {
                    Values::F32(x) => round_chunk(isa, layout, &x[values.clone()], chunk, words),
                    Values::Bf16(x) => round_chunk(isa, layout, &x[values.clone()], chunk, words),
                }
            }
        });
    }

    /// The blocks of a tile in a chunk.
    pub(super) fn part(&self, layout: &Layout, chunk: usize, tile: usize) -> &[u32] {
        let (start, len) = layout.part(chunk, tile);
        &self.words[start..][..len]
    }
}

/// Rounds a chunk of a tile's rows, which may be fewer than the tile has.
fn round_chunk<X: Value>(isa: Isa, layout: Layout, x: &[X], chunk: usize, words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512<X: Value>(layout: Layout, x: &[X], chunk: usize, words: &mut [u32]) {
        in_vectors(layout, x, chunk, words);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2<X: Value>(layout: Layout, x: &[X], chunk: usize, words: &mut [u32]) {
        in_vectors(layout, x, chunk, words);
    }
    match isa {
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe { avx512(layout, x, chunk, words) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(layout, x, chunk, words) },
        _ => in_vectors(layout, x, chunk, words),
    }
}

/// The same in arrays, of which the compiler makes vectors of the features of whoever calls it.
#[inline(always)]
fn in_vectors<X: Value>(layout: Layout, x: &[X], chunk: usize, words: &mut [u32]) {
    let rows = layout.tile_rows;
    for (index, words) in words.chunks_exact_mut(block_words(rows, layout.group)).enumerate() {
        let (numbers, rest) = words.split_at_mut(rows * SHARED / 4);
        let (scales, corrections) = rest.split_at_mut(rows);
        let (numbers, _) = bytemuck::cast_slice_mut::<u32, i8>(numbers).as_chunks_mut::<SHARED>();
        let column = chunk * CHUNK_COLUMNS + index * SHARED;
        let mut present = 0;
        for (row, x) in x.chunks_exact(layout.columns).enumerate() {
            let mut block = [0.0; SHARED];
            for (block, x) in block.iter_mut().zip(&x[column..column + SHARED]) {
                *block = x.widened();
            }
            let (scale, halves) = round(&block, &mut numbers[row]);
            scales[row] = scale.to_bits();
            match layout.offset {
                None => corrections[row] = ((halves[0] + halves[1]) as f32).to_bits(),
                Some(offset) => {
                    let of_groups = offset_corrections(offset, layout.group, halves);
                    for group in 0..SHARED / layout.group {
                        corrections[group * rows + row] = of_groups[group];
                    }
                }
            }
            present += 1;
        }
        // What the buffer held before would do no harm in rows that nobody wants, but for the time of strange floats.
        for row in present..rows {
            numbers[row].fill(0);
            for words in [&mut *scales].into_iter().chain(corrections.chunks_exact_mut(rows)) {
                words[row] = 0;
            }
        }
    }
}
