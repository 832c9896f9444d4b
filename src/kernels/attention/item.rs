//! One item of work: some queries of one head (or of the heads that share keys), from packing to output.

use std::ops::Range;

use super::ahead::Ahead;
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

/// Memory of an item's tiles, one after the other.
struct State<'s> {
    queries: &'s mut [f32],
    sums: &'s mut [f32],
    levels: &'s mut [f32],
    totals: &'s mut [f32],
}

/// Memory of one block: packed keys and values, and the scores of a tile.
struct Block<'s> {
    keys: &'s mut [f32],
    values: &'s mut [f32],
    scores: &'s mut [f32],
}

impl Item {
    pub(super) fn attend<K: Kernel>(self, kernel: K, problem: &Problem<'_>, out: &SharedOut<'_>) {
        let width = problem.width;
        let tiles = self.lanes.div_ceil(K::LANES);
        let depth = width.div_ceil(K::PAIR).next_multiple_of(K::WORDS);
        let dims = width.next_multiple_of(K::DIMS);
        let seen = problem.seen(self.first + self.lanes - 1);
        let block = BLOCK.min(seen).next_multiple_of(K::ROWS);
        let lengths = [
            tiles * depth * K::LANES,
            tiles * dims * K::LANES,
            tiles * K::LANES,
            tiles * K::LANES,
            block * depth,
            block / K::PAIR * dims,
            block * K::LANES,
        ];
        scratch::with(lengths, |[queries, sums, levels, totals, keys, values, scores]| {
            levels.fill(f32::NEG_INFINITY);
            totals.fill(0.0);
            let _set_up = kernel.set_up();
            let (mut state, mut block) = (State { queries, sums, levels, totals }, Block { keys, values, scores });
            for start in (0..seen).step_by(BLOCK) {
                let count = BLOCK.min(seen - start);
                kernel.pack_keys(problem.keys(self.part), start, count, width, block.keys);
                kernel.pack_values(problem.values(self.part), start, count, width, block.values);
                for index in 0..tiles {
                    self.attend_to_block(kernel, problem, out, (index, start, count), &mut state, &mut block);
                }
            }
        });
    }

    /// Takes one tile through one block.
    fn attend_to_block<K: Kernel>(
        self,
        kernel: K,
        problem: &Problem<'_>,
        out: &SharedOut<'_>,
        (index, start, count): (usize, usize, usize),
        state: &mut State<'_>,
        block: &mut Block<'_>,
    ) {
        let lanes = self.tile::<K>(index);
        let seen = problem.seen(lanes.end - 1);
        if seen <= start {
            return;
        }
        let tile = Tile {
            lanes: lanes.len(),
            keys: BLOCK.min(seen - start).next_multiple_of(K::ROWS),
            packed: count.next_multiple_of(K::ROWS),
            depth: problem.width.div_ceil(K::PAIR).next_multiple_of(K::WORDS),
            dims: problem.width.next_multiple_of(K::DIMS),
            first: start == 0,
        };
        let last = seen <= start + BLOCK;
        let queries = &mut state.queries[index * tile.depth * K::LANES..][..tile.depth * K::LANES];
        let sums = &mut state.sums[index * tile.dims * K::LANES..][..tile.dims * K::LANES];
        let (level, total) = (&mut state.levels[index * K::LANES..], &mut state.totals[index * K::LANES..]);
        if tile.first {
            self.pack_queries(kernel, problem, lanes.clone(), queries);
        }
        // At most `BLOCK` matters, so an `i32` holds it; lanes beyond the last see what that sees.
        let limit = |lane: usize| problem.seen(lane.min(lanes.end - 1)).saturating_sub(start).min(BLOCK) as i32;
        let mut limits = [0; MOST_TILE_LANES];
        limits[..K::LANES].iter_mut().zip(lanes.start..).for_each(|(value, lane)| *value = limit(lane));
        let (mut highest, mut rescale) = ([0.0; MOST_TILE_LANES], [0.0; MOST_TILE_LANES]);
        let ahead = self.ahead::<K>(problem, out, (index, start), last);
        kernel.scores(tile, queries, block.keys, &limits, limits[0], block.scores, &mut highest, &ahead);
        let softmax = &mut Softmax { highest: &mut highest, level, total, rescale: &mut rescale };
        let moved = kernel.weights(tile, problem.scale(), block.scores, softmax);
        kernel.accumulate(tile, block.values, block.scores, moved.then_some(&rescale), sums, &ahead);
        if last {
            self.finish(kernel, problem, lanes, (sums, total), out);
        }
    }

    /// The lanes of one of the item's tiles; none beyond the last.
    fn tile<K: Kernel>(self, index: usize) -> Range<usize> {
        let end = self.first + self.lanes;
        let start = self.first + index * K::LANES;
        start.min(end)..(start + K::LANES).min(end)
    }

    /// What to fetch during a tile's scores: its share of the next block, in the first block the next tile's queries,
    /// in the last its outputs.
    fn ahead<'a, K: Kernel>(
        self,
        problem: &'a Problem<'a>,
        out: &'a SharedOut<'a>,
        (index, start): (usize, usize),
        last: bool,
    ) -> Ahead<'a> {
        let tiles = self.lanes.div_ceil(K::LANES);
        let next = start + BLOCK;
        let seen = problem.seen(self.first + self.lanes - 1).clamp(next, next + BLOCK);
        let share = (seen - next).div_ceil(tiles);
        let keys = (next + index * share).min(seen)..(next + (index + 1) * share).min(seen);
        let queries = if start == 0 { self.tile::<K>(index + 1) } else { 0..0 };
        let outputs = if last { self.tile::<K>(index) } else { 0..0 };
        Ahead { problem, out, part: self.part, keys, queries, outputs }
    }

    fn pack_queries<K: Kernel>(self, kernel: K, problem: &Problem<'_>, lanes: Range<usize>, into: &mut [f32]) {
        for first in lanes.clone().step_by(K::VECTOR) {
            let queries = std::array::from_fn(|lane| {
                let there = lane < K::VECTOR && first + lane < lanes.end;
                if there { problem.query(self.part, first + lane) } else { &[] }
            });
            kernel.pack_queries(&queries, problem.width, &mut into[first - lanes.start..]);
        }
    }

    fn finish<K: Kernel>(
        self,
        kernel: K,
        problem: &Problem<'_>,
        lanes: Range<usize>,
        (sums, totals): (&[f32], &[f32]),
        out: &SharedOut<'_>,
    ) {
        for first in lanes.clone().step_by(K::VECTOR) {
            let mut rows: [_; MOST_LANES] = std::array::from_fn(|lane| {
                let there = lane < K::VECTOR && first + lane < lanes.end;
                // SAFETY: each lane belongs to one tile of one item, and a tile is finished once.
                there.then(|| unsafe { problem.out_row(out, self.part, first + lane) })
            });
            let vector = first - lanes.start;
            kernel.finish(&sums[vector..], &totals[vector..], &mut rows);
        }
    }
}
