//! How a product is cut: into items of work, and these into tiles.

use std::ops::Range;

use super::epilogue::{self, MOST_PANELS, Sink};
use super::operands::Ready;
use super::shape::{MOST_ROWS, Shape};
use super::tile::Kernel;
use super::vectors;
use super::{Epilogue, Source, Then};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::pool;

/// The most rows of an item: what a source does to make panels is done once for them, and they stay in the cache.
const MOST_ITEM_ROWS: usize = 512;
/// The fewest rows that items are cut down to for the sake of their number.
const FEWEST_ITEM_ROWS: usize = 96;
/// The panels of an item should leave room in the second cache.
const ITEM_PANEL_BYTES: usize = 512 << 10;
const MOST_ITEM_PANELS: usize = 8;
/// With few rows an item is a stretch of memory to read, and should not be too short.
const FEW_ROWS_ITEM_BYTES: usize = 1 << 20;
/// So many items for each thread keep all of them equally busy.
const ENOUGH_ITEMS: usize = 16;

/// The cuts.
#[derive(Debug)]
pub(super) struct Plan {
    isa: Isa,
    kernel: Kernel,
    columns: usize,
    m: usize,
    panels: usize,
    /// Rows and panels of an item.
    item_rows: usize,
    item_panels: usize,
    /// Rows of a tile, and the panels that it is finished with at once.
    tile_rows: usize,
    unit: usize,
}

impl Plan {
    pub(super) fn new(isa: Isa, kernel: Kernel, m: usize, weights: &impl Source, then: Then<'_>) -> Self {
        let (columns, panels) = (weights.columns(), weights.len());
        let panel_bytes = weights.element().panel_bytes(columns);
        let pairs = matches!(then, Then::SiluTimes);
        let unit = kernel.panels(m).max(if pairs { 2 } else { 1 });
        let few = m <= kernel.rows();
        let mut item_panels = match few {
            true => (FEW_ROWS_ITEM_BYTES / panel_bytes).clamp(4, 64),
            false => (ITEM_PANEL_BYTES / panel_bytes).clamp(1, MOST_ITEM_PANELS),
        };
        item_panels = (item_panels / unit * unit).max(unit);
        let blocks = m.div_ceil(MOST_ITEM_ROWS);
        let mut item_rows = m.div_ceil(blocks);
        let enough = ENOUGH_ITEMS * pool::threads();
        let items = |rows: usize, item_panels: usize| m.div_ceil(rows) * panels.div_ceil(item_panels);
        while items(item_rows, item_panels) < enough && item_panels > unit.max(if few { 4 } else { 1 }) {
            item_panels = (item_panels / 2 / unit * unit).max(unit);
        }
        while items(item_rows, item_panels) < enough && item_rows >= 2 * FEWEST_ITEM_ROWS {
            item_rows = item_rows.div_ceil(2);
        }
        item_rows = item_rows.next_multiple_of(kernel.rows());
        // Tiles of equal height rather than a short last one.
        let tile_rows = item_rows.min(m).div_ceil(item_rows.min(m).div_ceil(kernel.rows()));
        Self { isa, kernel, columns, m, panels, item_rows, item_panels, tile_rows, unit }
    }

    pub(super) fn items(&self) -> usize {
        self.m.div_ceil(self.item_rows) * self.panels.div_ceil(self.item_panels)
    }

    /// Rows and panels of an item. Items with the same panels follow each other.
    pub(super) fn item(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let blocks = self.m.div_ceil(self.item_rows);
        let (row, panel) = (index % blocks * self.item_rows, index / blocks * self.item_panels);
        (row..(row + self.item_rows).min(self.m), panel..(panel + self.item_panels).min(self.panels))
    }

    /// Multiplies rows `rows` by panels `panels`, which are `bytes`, and stores what comes out.
    ///
    /// # Safety
    /// The memory of `sink` is still lent, and nobody else uses the part of it for these rows and panels.
    pub(super) unsafe fn multiply(
        &self,
        rows: Range<usize>,
        panels: Range<usize>,
        bytes: &[u8],
        x: Ready<'_>,
        epilogue: &Epilogue<'_>,
        sink: &Sink,
    ) {
        let panel_bytes = bytes.len() / panels.len();
        let mut sums = Sums([0.0; MOST_ROWS * MOST_PANELS * PANEL_ROWS]);
        let most_panels = self.kernel.panels(self.tile_rows);
        for first_panel in panels.clone().step_by(self.unit) {
            let unit = self.unit.min(panels.end - first_panel);
            let bytes = &bytes[(first_panel - panels.start) * panel_bytes..][..unit * panel_bytes];
            for first_row in rows.clone().step_by(self.tile_rows) {
                let rows = self.tile_rows.min(rows.end - first_row);
                let sums = &mut sums.0[..rows * unit * PANEL_ROWS];
                epilogue::prefetch(first_row, rows, first_panel, unit, epilogue, sink);
                let mut panel = 0;
                while panel < unit {
                    // Tiles have 4, 2 or 1 panels.
                    let count = 1 << (unit - panel).min(most_panels).ilog2();
                    let shape = Shape { rows, panels: count, columns: self.columns, sum_stride: unit * PANEL_ROWS };
                    let bytes = &bytes[panel * panel_bytes..][..count * panel_bytes];
                    self.kernel.multiply(&shape, x, first_row, bytes, &mut sums[panel * PANEL_ROWS..]);
                    panel += count;
                }
                x.prefetch(first_row + rows, self.tile_rows);
                for panel in bytes.chunks_exact(panel_bytes) {
                    vectors::prefetch(panel.as_ptr(), 256);
                }
                let mut tile = epilogue::Tile { sums, first_row, rows, first_panel, panels: unit };
                // SAFETY: the caller's.
                unsafe { epilogue::finish(self.isa, &mut tile, epilogue, sink) };
            }
        }
    }
}

/// The sums of a tile, in whole cache lines.
#[repr(align(64))]
struct Sums([f32; MOST_ROWS * MOST_PANELS * PANEL_ROWS]);
