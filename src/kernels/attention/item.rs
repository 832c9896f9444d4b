//! One item of work: some queries of one head (or of the heads that share keys), from packing to output.

use super::kernel::{Kernel, MOST_LANES, MOST_TILE_LANES, Softmax, Tile};
use super::problem::{Problem, SharedOut};
use super::scratch;

/// Keys of a block. Blocks begin at its multiples.
pub(super) const BLOCK: usize = 256;

/// The most tiles of an item: they share the packing of keys and values, and the second-level cache holds their sums.
const MOST_TILES: usize = 16;

/// Values of a query times tiles of an item, at most (unless a single tile has more).
const TILES_TIMES_WIDTH: usize = 1152;

/// The items of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    parts: usize,
    lanes: usize,
    lanes_of_item: usize,
}

/// Lanes of one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    part: usize,
    first: usize,
    lanes: usize,
}

impl Split {
    pub(super) fn new<K: Kernel>(problem: &Problem<'_>) -> Self {
        let lanes = problem.lanes();
        let most = (TILES_TIMES_WIDTH / problem.width).clamp(1, MOST_TILES);
        // As many items as that asks for, of about the same number of tiles.
        let tiles = lanes.div_ceil(K::LANES);
        let tiles_of_item = tiles.div_ceil(tiles.div_ceil(most));
        Self { parts: problem.parts(), lanes, lanes_of_item: tiles_of_item * K::LANES }
    }

    pub(super) fn items(&self) -> usize {
        self.parts * self.lanes.div_ceil(self.lanes_of_item)
    }

    /// The later lanes, which may see more, come first.
    pub(super) fn item(&self, index: usize) -> Item {
        let first = (self.items() - 1 - index) / self.parts * self.lanes_of_item;
        Item { part: index % self.parts, first, lanes: self.lanes_of_item.min(self.lanes - first) }
    }
}

impl Item {
    pub(super) fn attend<K: Kernel>(self, kernel: K, problem: &Problem<'_>, out: &SharedOut<'_>) {
        let width = problem.width;
        let tiles = self.lanes.div_ceil(K::LANES);
        let depth = width.div_ceil(K::PAIR);
        let dims = width.next_multiple_of(K::ROWS);
        let seen = problem.seen(self.first + self.lanes - 1);
        let block = BLOCK.min(seen).next_multiple_of(K::ROWS);
        let lengths = [
            tiles * depth * K::LANES,
            block * depth,
            block / K::PAIR * dims,
            block * K::LANES,
            tiles * dims * K::LANES,
            tiles * K::LANES,
            tiles * K::LANES,
        ];
        scratch::with(lengths, |[queries, keys, values, scores, sums, levels, totals]| {
            self.pack_queries(kernel, problem, depth, queries);
            levels.fill(f32::NEG_INFINITY);
            totals.fill(0.0);
            for start in (0..seen).step_by(BLOCK) {
                let count = BLOCK.min(seen - start);
                kernel.pack_keys(problem.keys(self.part), start, count, width, keys);
                kernel.pack_values(problem.values(self.part), start, count, width, values);
                let packed = count.next_multiple_of(K::ROWS);
                let state = queries
                    .chunks_exact(depth * K::LANES)
                    .zip(sums.chunks_exact_mut(dims * K::LANES))
                    .zip(levels.chunks_exact_mut(K::LANES).zip(totals.chunks_exact_mut(K::LANES)));
                for (index, ((queries, sums), (level, total))) in state.enumerate() {
                    let lanes = self.tile::<K>(index);
                    let keys_seen = BLOCK.min(problem.seen(lanes.end - 1).saturating_sub(start));
                    if keys_seen == 0 {
                        continue;
                    }
                    let tile = Tile {
                        vectors: lanes.len().div_ceil(K::VECTOR),
                        keys: keys_seen.next_multiple_of(K::ROWS),
                        packed,
                        depth,
                        dims,
                        first: start == 0,
                    };
                    // At most `BLOCK` matters, so an `i32` holds it; lanes beyond the last see what that sees.
                    let limit =
                        |lane: usize| problem.seen(lane.min(lanes.end - 1)).saturating_sub(start).min(BLOCK) as i32;
                    let mut limits = [0; MOST_TILE_LANES];
                    limits[..K::LANES].iter_mut().zip(lanes.start..).for_each(|(value, lane)| *value = limit(lane));
                    let (mut highest, mut rescale) = ([0.0; MOST_TILE_LANES], [0.0; MOST_TILE_LANES]);
                    kernel.scores(tile, queries, keys, &limits, limits[0], scores, &mut highest);
                    let softmax = &mut Softmax { highest: &mut highest, level, total, rescale: &mut rescale };
                    let moved = kernel.weights(tile, problem.scale(), scores, softmax);
                    kernel.accumulate(tile, values, scores, moved.then_some(&rescale), sums);
                }
            }
            self.finish(kernel, problem, (sums, dims, totals), out);
        });
    }

    /// The lanes of one of the item's tiles.
    fn tile<K: Kernel>(self, index: usize) -> std::ops::Range<usize> {
        let start = self.first + index * K::LANES;
        start..(start + K::LANES).min(self.first + self.lanes)
    }

    fn pack_queries<K: Kernel>(self, kernel: K, problem: &Problem<'_>, depth: usize, into: &mut [f32]) {
        for (index, into) in into.chunks_exact_mut(depth * K::LANES).enumerate() {
            let lanes = self.tile::<K>(index);
            for first in lanes.clone().step_by(K::VECTOR) {
                let queries = std::array::from_fn(|lane| {
                    let there = lane < K::VECTOR && first + lane < lanes.end;
                    if there { problem.query(self.part, first + lane) } else { &[] }
                });
                kernel.pack_queries(&queries, problem.width, &mut into[first - lanes.start..]);
            }
        }
    }

    fn finish<K: Kernel>(
        self,
        kernel: K,
        problem: &Problem<'_>,
        (sums, dims, totals): (&[f32], usize, &[f32]),
        out: &SharedOut<'_>,
    ) {
        for (index, sums) in sums.chunks_exact(dims * K::LANES).enumerate() {
            let lanes = self.tile::<K>(index);
            for first in lanes.clone().step_by(K::VECTOR) {
                let mut rows: [_; MOST_LANES] = std::array::from_fn(|lane| {
                    let there = lane < K::VECTOR && first + lane < lanes.end;
                    // SAFETY: each lane belongs to one item and one vector of it, and an item is attended to once.
                    there.then(|| unsafe { problem.out_row(out, self.part, first + lane) })
                });
                kernel.finish(&sums[first - lanes.start..], &totals[first - self.first..], &mut rows);
            }
        }
    }
}
