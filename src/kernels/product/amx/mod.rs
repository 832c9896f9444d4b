//! Products of bf16 in the matrix unit.
//!
//! It multiplies so fast that caches decide. An item of work is some hundred rows by some hundred of the weights' rows,
//! which it takes in runs of some hundred columns: the activations of a run stay in the second cache, while a pair of
//! panels stays in the first for all of them and the next pair is brought nearer. Sums of a run are set aside for the
//! next one.

mod block;
mod plan;
mod rows;

use std::cell::Cell;
use std::ops::Range;

use bytemuck::Zeroable;

use self::block::{AHEAD_BYTES, Block, STEP_COLUMNS, TILE_BYTES};
use self::plan::{BAND_ROWS, Plan};
use self::rows::RowTiles;
use super::epilogue::{self, Sink};
use super::{Epilogue, Line, Rows, Source};
use crate::kernels::amx::{TILE_ROWS, Tiles};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::pool;

/// Panels of a block.
const PAIR: usize = 2;
/// Values of a block's sums.
const BLOCK_VALUES: usize = BAND_ROWS * PAIR * PANEL_ROWS;

/// Memory of a thread: panels that a source makes, the last steps of an item's panels, sums that are set aside.
#[derive(Default)]
struct Scratch {
    panels: Vec<Line>,
    tails: Vec<Line>,
    sums: Vec<Line>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Multiplies `m` rows `x` by weights in bf16 and stores what comes out.
///
/// # Safety
/// The machine has [`Isa::Amx`]; the memory of `sink` is still lent, and nobody else uses it.
pub(super) unsafe fn product(
    x: Rows<'_>,
    m: usize,
    weights: &impl Source,
    epilogue: &Epilogue<'_>,
    sink: &Sink,
) {
    let plan = Plan::new(m, weights.len(), weights.columns(), pool::threads());
    rows::with_tiles(x, weights.columns(), |x| {
        pool::run(plan.items(), |index| {
            let mut scratch = SCRATCH.take();
            // SAFETY: the caller's; no two items share rows and panels.
            unsafe { Item::new(&plan, index, m, x, epilogue, sink).run(weights, &mut scratch) };
            SCRATCH.set(scratch);
        });
    });
}

/// Some bands of rows by some pairs of panels.
struct Item<'a> {
    m: usize,
    x: RowTiles<'a>,
    epilogue: &'a Epilogue<'a>,
    sink: &'a Sink,
    bands: Range<usize>,
    panels: Range<usize>,
    /// Where the runs of steps begin and end.
    runs: &'a [usize],
    /// The first panel of what this thread does next, perhaps.
    next_panel: usize,
}

impl<'a> Item<'a> {
    fn new(
        plan: &'a Plan,
        index: usize,
        m: usize,
        x: RowTiles<'a>,
        epilogue: &'a Epilogue<'a>,
        sink: &'a Sink,
    ) -> Self {
        let (bands, panels) = plan.item(index);
        let next_panel = plan.item((index + pool::threads()).min(plan.items() - 1)).1.start;
        Self { m, x, epilogue, sink, bands, panels, runs: plan.runs(), next_panel }
    }

    /// # Safety
    /// The machine has tiles; the memory of the sink is still lent, and nobody else uses the item's part of it.
    unsafe fn run(self, weights: &impl Source, scratch: &mut Scratch) {
        let Scratch { panels: made, tails, sums } = scratch;
        let weights = weights.panels(Isa::Amx, self.panels.start, self.panels.len(), made);
        let panel_bytes = weights.len() / self.panels.len();
        write_tails(weights, panel_bytes, tails);
        let bands = self.bands.len();
        let blocks = if self.runs.len() > 2 { self.panels.len().div_ceil(PAIR) * bands } else { 1 };
        sums.resize(blocks * BLOCK_VALUES * size_of::<f32>() / size_of::<Line>(), Line::zeroed());
        let sums: &mut [f32] = bytemuck::cast_slice_mut(sums);
        // SAFETY: the caller's.
        let _tiles = unsafe { Tiles::set_up(self.x.tile_rows) };
        let whole = panel_bytes / TILE_BYTES;
        for (run, steps) in self.runs.windows(2).enumerate() {
            let is_last = run + 2 == self.runs.len();
            let (start, end) = (steps[0], steps[1].min(whole));
            for panel in self.panels.clone().step_by(PAIR) {
                let panels = PAIR.min(self.panels.end - panel);
                let index = panel - self.panels.start;
                let ahead = self.ahead(weights.as_ptr(), panel_bytes, run, index);
                for band in self.bands.clone() {
                    let share = (band - self.bands.start) * (2 * (end - start) * TILE_BYTES).div_ceil(bands);
                    let block = if blocks > 1 { index / PAIR * bands + band - self.bands.start } else { 0 };
                    let sums = &mut sums[block * BLOCK_VALUES..][..BLOCK_VALUES];
                    let rows = BAND_ROWS.min(self.m - band * BAND_ROWS);
                    if is_last {
                        epilogue::prefetch(band * BAND_ROWS, rows, panel, panels, self.epilogue, self.sink);
                    }
                    let (tile, row_tiles) = (band * 2, rows.div_ceil(TILE_ROWS));
                    let mut block = Block {
                        x: self.x.at(tile, start),
                        x_step_bytes: self.x.step_bytes(),
                        x_next: self.x.next_bytes(),
                        weights: weights[index * panel_bytes + start * TILE_BYTES..].as_ptr(),
                        weights_next: panel_bytes,
                        steps: end - start,
                        tail: tails[index * TILE_BYTES / size_of::<Line>()..].as_ptr().cast(),
                        tail_steps: steps[1] - end,
                        sums: sums.as_mut_ptr(),
                        sum_stride: panels * PANEL_ROWS * size_of::<f32>(),
                        resume: usize::from(run > 0),
                        ahead: ahead.wrapping_add(share),
                    };
                    // SAFETY: tiles are set up for as many rows as the tiles of `x` have, which are 16 if there are two
                    // of them in any band. Steps up to the whole ones lie inside the panels, the others in the tails,
                    // and all of them in `x`; sums are as many as a block has at most.
                    unsafe { block::multiply(&mut block, row_tiles, panels) };
                    if is_last {
                        let sums = &mut sums[..rows * panels * PANEL_ROWS];
                        let first_row = band * BAND_ROWS;
                        let mut tile = epilogue::Tile { sums, first_row, rows, first_panel: panel, panels };
                        // SAFETY: the caller's.
                        unsafe { epilogue::finish(Isa::Amx, &mut tile, self.epilogue, self.sink) };
                    }
                }
            }
        }
    }

    /// What is read after the pair of panels from `index` on: the next pair's steps of this run, the first pair's of
    /// the next run, or those of the next item.
    fn ahead(&self, weights: *const u8, panel_bytes: usize, run: usize, index: usize) -> *const u8 {
        let (panel, run) = if index + PAIR < self.panels.len() {
            (index + PAIR, run)
        } else if run + 2 < self.runs.len() {
            (0, run + 1)
        } else {
            (self.next_panel.wrapping_sub(self.panels.start), 0)
        };
        weights.wrapping_add(panel.wrapping_mul(panel_bytes).wrapping_add(self.runs[run] * TILE_BYTES))
    }
}

/// Writes the end of each panel that fills no tile as one, the rest of which is zeros.
fn write_tails(panels: &[u8], panel_bytes: usize, tails: &mut Vec<Line>) {
    let tail_bytes = panel_bytes % TILE_BYTES;
    tails.clear();
    tails.resize(panels.len() / panel_bytes * TILE_BYTES / size_of::<Line>(), Line::zeroed());
    let tails: &mut [u8] = bytemuck::cast_slice_mut(tails);
    for (panel, tail) in panels.chunks_exact(panel_bytes).zip(tails.chunks_exact_mut(TILE_BYTES)) {
        tail[..tail_bytes].copy_from_slice(&panel[panel_bytes - tail_bytes..]);
    }
}
