//! The kernel in plain Rust.

use super::super::operands::Operands;
use super::ahead::Ahead;
use super::exp2::exp2;
use super::kernel::{Kernel, MOST_LANES, Softmax, Tile, UNSEEN};
use super::pack::{self, packing_methods};
use super::problem::{OutRow, Rows};

const LANES: usize = 8;
const ROWS: usize = 4;

/// Safe Rust, in what the compiler makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    operands: Operands,
}

impl Plain {
    pub(super) fn new(operands: Operands) -> Self {
        Self { operands }
    }
}

/// Adds the products of `ROWS` numbers and a vector's lanes.
fn add_products(sums: &mut [[f32; LANES]; ROWS], numbers: [f32; ROWS], lanes: &[f32]) {
    for (sums, number) in sums.iter_mut().zip(numbers) {
        sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += number * lane);
    }
}

impl Kernel for Plain {
    const VECTOR: usize = LANES;
    const LANES: usize = LANES;
    const ROWS: usize = ROWS;
    const PAIR: usize = 1;

    type SetUp = ();

    fn set_up(self) {}

    packing_methods!();

    fn scores(
        self,
        tile: Tile,
        queries: &[f32],
        keys: &[f32],
        limits: &[i32],
        _all_see: i32,
        scores: &mut [f32],
        highest: &mut [f32],
        _ahead: &Ahead<'_>,
    ) {
        highest[..LANES].fill(UNSEEN);
        for key in (0..tile.keys).step_by(ROWS) {
            let mut sums = [[0.0; LANES]; ROWS];
            for (column, lanes) in queries.chunks_exact(LANES).take(tile.depth).enumerate() {
                let numbers = std::array::from_fn(|row| keys[(key + row) * tile.depth + column]);
                add_products(&mut sums, numbers, lanes);
            }
            for (row, sums) in sums.into_iter().enumerate() {
                let scores = &mut scores[(key + row) * LANES..][..LANES];
                for (lane, sum) in sums.into_iter().enumerate() {
                    scores[lane] = if ((key + row) as i32) < limits[lane] { sum } else { UNSEEN };
                    highest[lane] = highest[lane].max(scores[lane]);
                }
            }
        }
    }

    fn weights(self, tile: Tile, scale: f32, scores: &mut [f32], softmax: &mut Softmax<'_>) -> bool {
        let mut moved = false;
        for lane in 0..LANES {
            let level = softmax.level[lane].max(softmax.highest[lane] * scale);
            moved |= level != softmax.level[lane];
            softmax.rescale[lane] = exp2(softmax.level[lane] - level);
            softmax.level[lane] = level;
        }
        let mut sums = [0.0; LANES];
        for scores in scores.chunks_exact_mut(LANES).take(tile.keys) {
            for ((score, sum), level) in scores.iter_mut().zip(&mut sums).zip(&*softmax.level) {
                let weight = exp2(*score * scale - level);
                *sum += weight;
                *score = pack::rounded(self.operands, weight);
            }
        }
        for ((total, rescale), sum) in softmax.total.iter_mut().zip(&*softmax.rescale).zip(sums) {
            *total = *total * rescale + sum;
        }
        moved
    }

    fn accumulate(
        self,
        tile: Tile,
        values: &[f32],
        weights: &[f32],
        rescale: Option<&[f32]>,
        sums: &mut [f32],
        _ahead: &Ahead<'_>,
    ) {
        let panels = values.chunks_exact(tile.packed * ROWS).zip(sums.chunks_exact_mut(ROWS * LANES));
        for (values, into) in panels.take(tile.dims / ROWS) {
            let mut sums = [[0.0; LANES]; ROWS];
            if !tile.first {
                for (sums, into) in sums.iter_mut().zip(into.chunks_exact(LANES)) {
                    sums.copy_from_slice(into);
                    if let Some(rescale) = rescale {
                        sums.iter_mut().zip(rescale).for_each(|(sum, rescale)| *sum *= rescale);
                    }
                }
            }
            for (numbers, lanes) in values.chunks_exact(ROWS).zip(weights.chunks_exact(LANES)).take(tile.keys) {
                add_products(&mut sums, std::array::from_fn(|row| numbers[row]), lanes);
            }
            sums.iter().zip(into.chunks_exact_mut(LANES)).for_each(|(sums, into)| into.copy_from_slice(sums));
        }
    }
}
