//! What the walk over tiles and blocks asks of a set of instructions.
//!
//! Buffers hold words of 32 bits: an f32, or, where [`Kernel::PAIR`] is 2, two neighbouring bf16 of the direction that
//! is summed over, the first in the lower half.

use super::ahead::Ahead;
use super::problem::{OutRow, Rows};

/// The most lanes of a vector.
pub(super) const MOST_LANES: usize = 16;

/// The most lanes of a tile.
pub(super) const MOST_TILE_LANES: usize = 64;

/// Below every score: that of a key that a lane does not see. Finite, so that a difference is a number.
pub(super) const UNSEEN: f32 = f32::MIN;

/// One tile of queries against one block of keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// Lanes in use.
    pub(super) lanes: usize,
    /// Keys, a multiple of [`Kernel::ROWS`].
    pub(super) keys: usize,
    /// Keys of the block as packed, of which those are the first.
    pub(super) packed: usize,
    /// Words of a query or key, a multiple of [`Kernel::WORDS`].
    pub(super) depth: usize,
    /// Values of an output, a multiple of [`Kernel::DIMS`].
    pub(super) dims: usize,
    /// Whether this is the first block.
    pub(super) first: bool,
}

/// The softmax of a tile so far; a slice holds a value for each lane.
#[derive(Debug)]
pub(super) struct Softmax<'a> {
    /// The greatest score of this block.
    pub(super) highest: &'a mut [f32],
    /// The greatest score of all blocks, as the exponent of a power of two.
    pub(super) level: &'a mut [f32],
    /// The sum of the weights, relative to that level.
    pub(super) total: &'a mut [f32],
    /// What the sums of earlier blocks are to be multiplied by.
    pub(super) rescale: &'a mut [f32],
}

/// A kernel: products and softmax over lanes, and the packing of what they read.
pub(super) trait Kernel: Copy + Send + Sync {
    /// Lanes of a vector.
    const VECTOR: usize;
    /// Lanes of a tile.
    const LANES: usize;
    /// Keys that are taken at a time. A multiple of [`Self::PAIR`].
    const ROWS: usize;
    /// Numbers in a word.
    const PAIR: usize;
    /// Values of an output that are taken at a time.
    const DIMS: usize = Self::ROWS;
    /// Words of a query or key that are taken at a time.
    const WORDS: usize = 1;

    /// What holds while an item is attended to.
    type SetUp;

    /// Makes a thread ready for an item.
    fn set_up(self) -> Self::SetUp;

    /// Packs the queries of a vector's lanes to `[depth][LANES]`, of which `into` begins at the vector. A query that
    /// is empty becomes zeros.
    fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]);

    /// Packs `count` keys from `first` on to `[keys][depth]`; keys up to the next multiple of [`Self::ROWS`] are zeros.
    fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]);

    /// Packs `count` rows of values from `first` on to `[dims / ROWS][keys / PAIR][ROWS]`, where rows up to the next
    /// multiple of [`Self::ROWS`], and dims beyond `width`, are zeros.
    fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]);

    /// The products of keys and queries, `[keys][LANES]`, and the highest of each lane. A lane sees the keys below its
    /// limit; the least limit is `all_see`. Fetches what is ahead.
    #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
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
    );

    /// Turns scores into weights, `[keys / PAIR][LANES]` in the same place, and carries the softmax on; `scale` makes a
    /// score the exponent of a power of two. Says whether sums of earlier blocks have to be rescaled.
    fn weights(self, tile: Tile, scale: f32, scores: &mut [f32], softmax: &mut Softmax<'_>) -> bool;

    /// Adds the weighted values to `sums`, `[dims][LANES]`, which are first rescaled if `rescale` is given. In the
    /// first block they are set. Fetches what is ahead.
    fn accumulate(
        self,
        tile: Tile,
        values: &[f32],
        weights: &[f32],
        rescale: Option<&[f32]>,
        sums: &mut [f32],
        ahead: &Ahead<'_>,
    );

    /// Writes the outputs of a vector's lanes: the sums, of which `sums` begins at the vector, over the totals.
    fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]);
}
