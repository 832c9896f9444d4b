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
use std::ffi::c_void;
use std::ops::Range;

use bytemuck::Zeroable;

use self::block::{Block, Fetched, TILE_BYTES};
use self::plan::{BAND_ROWS, InOrder, Plan};
use self::rows::RowTiles;
use super::epilogue::{self, Place, Sink};
use super::{Epilogue, Line, Rows, Source};
use crate::kernels::amx::{TILE_ROWS, Tiles};
use crate::kernels::isa::Isa;
use crate::kernels::out::Disjoint;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::pool;

/// Panels of a block.
const PAIR: usize = 2;
/// Steps between which other work is done: the processor puts off about so many and goes on to what follows.
const PORTION_STEPS: usize = 9;
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
pub(super) unsafe fn product(x: Rows<'_>, m: usize, weights: &impl Source, epilogue: &Epilogue<'_>, sink: &Sink) {
    let plan = Plan::new(m, weights.len(), weights.columns(), weights.are_made(), pool::threads());
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
    plan: &'a Plan,
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
        Self { m, x, epilogue, sink, bands, panels, plan, next_panel }
    }

    /// # Safety
    /// The machine has tiles; the memory of the sink is still lent, and nobody else uses the item's part of it.
    unsafe fn run(self, weights: &impl Source, scratch: &mut Scratch) {
        let Scratch { panels: made, tails, sums } = scratch;
        let weights = weights.panels(Isa::Amx, self.panels.start, self.panels.len(), made);
        let panel_bytes = weights.len() / self.panels.len();
        write_tails(weights, panel_bytes, tails);
        let operands = Operands { weights, panel_bytes, tails };
        let order = self.plan.order(self.panels.len());
        let line_values = size_of::<Line>() / size_of::<f32>();
        sums.resize(order.sets() * self.bands.len() * BLOCK_VALUES / line_values, Line::zeroed());
        let sums = &Disjoint::new(bytemuck::cast_slice_mut(sums));
        let mut unfinished = Unfinished::default();
        // SAFETY: the caller's.
        let _tiles = unsafe { Tiles::set_up(self.x.tile_rows) };
        for index in 0..order.len() {
            let Some(place) = order.get(index) else { break };
            let ahead = match order.get(index + 1) {
                Some(next) => operands.tile(next.pair * PAIR, self.plan.run(next.run).start),
                None => {
                    let panel = self.next_panel.wrapping_sub(self.panels.start);
                    weights.as_ptr().wrapping_add(panel.wrapping_mul(panel_bytes))
                }
            };
            // SAFETY: the caller's; the tiles are set up.
            unsafe { self.multiply(place, &operands, ahead, sums, &mut unfinished) };
        }
        // SAFETY: the caller's.
        unsafe { self.finish(&mut unfinished, usize::MAX, sums) };
    }

    /// Multiplies all bands by one pair of panels over one run of steps, and finishes some of what is unfinished beside
    /// that: the matrix unit has so much in its queue that the processor gets to it meanwhile.
    ///
    /// # Safety
    /// As for `run`; tiles are set up for those of `x`.
    unsafe fn multiply(
        &self,
        place: InOrder,
        operands: &Operands<'_>,
        ahead: *const u8,
        sums: &Disjoint<'_, f32>,
        unfinished: &mut Unfinished,
    ) {
        let panel = self.panels.start + place.pair * PAIR;
        let panels = PAIR.min(self.panels.end - panel);
        let steps = self.plan.run(place.run);
        let whole = steps.start..steps.end.min(operands.panel_bytes / TILE_BYTES);
        let share_bytes = (PAIR * whole.len() * TILE_BYTES).div_ceil(self.bands.len());
        for (index, band) in self.bands.clone().enumerate() {
            let rows = BAND_ROWS.min(self.m - band * BAND_ROWS);
            let portions = whole.len().div_ceil(PORTION_STEPS).max(1);
            let mut meanwhile = Meanwhile {
                item: self,
                end: unfinished.rows.end.min(unfinished.rows.start + place.finished_rows),
                rows: place.finished_rows.div_ceil(portions),
                sums,
                unfinished,
            };
            let mut block = Block {
                x: self.x.at(band * 2, steps.start),
                x_step_bytes: self.x.step_bytes(),
                x_next: self.x.next_bytes(),
                weights: operands.tile(place.pair * PAIR, steps.start),
                weights_next: operands.panel_bytes,
                steps: whole.len(),
                tail: operands.tail(place.pair * PAIR),
                tail_steps: steps.len() - whole.len(),
                // SAFETY: what is unfinished has its sums in other blocks.
                sums: unsafe { sums.part(self.block(place.set, band) * BLOCK_VALUES, BLOCK_VALUES) }.as_mut_ptr(),
                sum_stride: panels * PANEL_ROWS * size_of::<f32>(),
                resume: usize::from(place.run > 0),
                ahead: ahead.wrapping_add(index * share_bytes),
                fetched: self.fetched(meanwhile.unfinished),
                portion: PORTION_STEPS,
                meanwhile: Meanwhile::portion,
                context: (&raw mut meanwhile).cast(),
            };
            // SAFETY: tiles are set up for as many rows as the tiles of `x` have, which are 16 if there are two of them
            // in any band. Steps up to the whole ones lie inside the panels, the others in the tails, and all of them
            // in `x`; there are as many sums as a block has at most. What is done meanwhile is the caller's.
            unsafe {
                block::multiply(&mut block, rows.div_ceil(TILE_ROWS), panels);
                meanwhile.finish(usize::MAX);
            }
            if place.is_last_run && place.finished_rows == BAND_ROWS {
                *unfinished = Unfinished { panel, set: place.set, rows: self.rows(band..band + 1) };
            }
        }
        if place.is_last_run && place.finished_rows < BAND_ROWS {
            *unfinished = Unfinished { panel, set: place.set, rows: self.rows(self.bands.clone()) };
        }
    }

    /// Which of the blocks of sums a band has in a set.
    fn block(&self, set: usize, band: usize) -> usize {
        set * self.bands.len() + band - self.bands.start
    }

    fn rows(&self, bands: Range<usize>) -> Range<usize> {
        bands.start * BAND_ROWS..self.m.min(bands.end * BAND_ROWS)
    }

    /// Finishes rows up to `end`.
    ///
    /// # Safety
    /// As for `run`.
    unsafe fn finish(&self, unfinished: &mut Unfinished, end: usize, sums: &Disjoint<'_, f32>) {
        let end = unfinished.rows.end.min(end);
        while unfinished.rows.start < end {
            let Unfinished { panel, set, rows: Range { start: first_row, .. } } = *unfinished;
            let panels = PAIR.min(self.panels.end - panel);
            let (band, row) = (first_row / BAND_ROWS, first_row % BAND_ROWS);
            let rows = (BAND_ROWS - row).min(end - first_row);
            let row_values = panels * PANEL_ROWS;
            let start = self.block(set, band) * BLOCK_VALUES + row * row_values;
            // SAFETY: nobody uses complete sums but whoever finishes them.
            let sums = unsafe { sums.part(start, rows * row_values) };
            let mut tile = epilogue::Tile { sums, first_row, rows, first_panel: panel, panels };
            // SAFETY: the caller's.
            unsafe { epilogue::finish(Isa::Amx, &mut tile, self.epilogue, self.sink) };
            unfinished.rows.start += rows;
        }
    }

    /// What the unfinished rows are finished with, if there are any; else something in the cache.
    fn fetched(&self, unfinished: &Unfinished) -> [Fetched; 2] {
        let none = Fetched { first: std::ptr::from_ref(self).cast(), other_bytes: 0, row_bytes: 0 };
        if unfinished.rows.is_empty() {
            return [none; 2];
        }
        let panels = PAIR.min(self.panels.end - unfinished.panel);
        let first_row = unfinished.rows.start;
        let (written, added) = epilogue::places(first_row, unfinished.panel, panels, self.epilogue, self.sink);
        // A row's part may begin inside a line: then that was brought for the panels before.
        let lines = |place: Place| {
            let first = (size_of::<Line>() - 1).min(place.last_bytes);
            let (other_bytes, first) = (place.last_bytes - first, place.first.wrapping_add(first));
            Fetched { first, other_bytes, row_bytes: place.row_bytes }
        };
        [lines(written), added.map_or(none, lines)]
    }
}

/// Rows whose sums by the panels from one on are complete, and set aside.
#[derive(Debug, Default)]
struct Unfinished {
    panel: usize,
    set: usize,
    rows: Range<usize>,
}

/// What is done while the matrix unit works: unfinished rows are finished, up to some row.
struct Meanwhile<'a> {
    item: &'a Item<'a>,
    unfinished: &'a mut Unfinished,
    sums: &'a Disjoint<'a, f32>,
    end: usize,
    /// Rows for each portion of steps.
    rows: usize,
}

impl Meanwhile<'_> {
    /// # Safety
    /// As for [`Item::run`].
    unsafe fn finish(&mut self, most_rows: usize) {
        let end = self.end.min(self.unfinished.rows.start.saturating_add(most_rows));
        // SAFETY: the caller's.
        unsafe { self.item.finish(self.unfinished, end, self.sums) };
    }

    /// # Safety
    /// As for [`Item::run`]; `this` is one of these, and nobody else's for the time.
    unsafe extern "sysv64" fn portion(this: *mut c_void) {
        // SAFETY: the caller's.
        unsafe {
            let this = &mut *this.cast::<Self>();
            this.finish(this.rows);
        }
    }
}

/// An item's weights.
struct Operands<'a> {
    weights: &'a [u8],
    panel_bytes: usize,
    /// A tile for each panel, with the end that fills none, if there is one.
    tails: &'a [Line],
}

impl Operands<'_> {
    /// Where a panel's tiles begin from a step on.
    fn tile(&self, panel: usize, step: usize) -> *const u8 {
        self.weights[panel * self.panel_bytes + step * TILE_BYTES..].as_ptr()
    }

    /// A panel's tile with its end; anything where panels are whole tiles.
    fn tail(&self, panel: usize) -> *const u8 {
        match self.tails {
            [] => self.weights.as_ptr(),
            tails => tails[panel * TILE_BYTES / size_of::<Line>()..].as_ptr().cast(),
        }
    }
}

/// Writes the end of each panel that fills no tile as one, the rest of which is zeros; nothing if all are filled.
fn write_tails(panels: &[u8], panel_bytes: usize, tails: &mut Vec<Line>) {
    let tail_bytes = panel_bytes % TILE_BYTES;
    tails.clear();
    if tail_bytes == 0 {
        return;
    }
    tails.resize(panels.len() / panel_bytes * TILE_BYTES / size_of::<Line>(), Line::zeroed());
    let tails: &mut [u8] = bytemuck::cast_slice_mut(tails);
    for (panel, tail) in panels.chunks_exact(panel_bytes).zip(tails.chunks_exact_mut(TILE_BYTES)) {
        tail[..tail_bytes].copy_from_slice(&panel[panel_bytes - tail_bytes..]);
    }
}
