//! The product of many rows in bytes.
//!
//! It goes chunk of columns by chunk of columns: a chunk of a panel is unpacked into the first cache, and meets all
//! rows of an item there; their numbers in these columns, which all panels of the item meet, stay in the second cache
//! with the sums.

mod kernel;
mod rows;
mod tile;
mod unpacked;

use std::cell::Cell;
use std::ops::Range;

use bytemuck::Zeroable;

use super::format::LINE_BYTES;
use super::panels::QuantPanels;
use super::rounded::SHARED;
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::pool;
use crate::kernels::prefetch;
use crate::kernels::product::epilogue::{self, Sink};
use crate::kernels::product::{Epilogue, Line};
use crate::kernels::values::Values;
use kernel::{Kernel, kernel};
use rows::{CHUNK_COLUMNS, Layout, TiledRows};
use tile::Run;

/// So many rows are worth unpacking panels for.
const MANY_ROWS: usize = 12;
/// The most rows of an item.
const MOST_ITEM_ROWS: usize = 512;
/// The most panels of an item.
const MOST_ITEM_PANELS: usize = 8;
/// Panels that are finished at once: two of them may be of the same outputs.
const UNIT_PANELS: usize = 2;
/// So many items for each thread keep all of them equally busy.
const ENOUGH_ITEMS: usize = 16;

thread_local! {
    static ROWS: Cell<TiledRows> = Cell::default();
    static UNPACKED: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Whether [`product`] has the instructions that it takes, and is the faster way for so many rows.
pub(super) fn suits(isa: Isa, rows: usize) -> bool {
    isa > Isa::Plain && rows >= MANY_ROWS
}

/// Multiplies `m` rows `x`, `[m, columns]`, by the weights, where that [`suits`].
pub(super) fn product(isa: Isa, x: Values<'_>, m: usize, weights: &QuantPanels, epilogue: &Epilogue<'_>, sink: &Sink) {
    assert!(suits(isa, m));
    let format = weights.format();
    let kernel = kernel(isa, format);
    let layout = Layout::new(format, m, weights.columns(), kernel.most_rows);
    let mut rows = ROWS.take();
    rows.round(isa, x, layout);
    let (item_tiles, item_panels) = item_size(&layout, weights.len());
    let work = Work {
        isa,
        weights,
        rows: &rows,
        layout,
        epilogue,
        sink,
        kernel,
        tile: (kernel.tile)(layout.tile_rows),
        unpacked_lines: (kernel.unpacked_bytes)(CHUNK_COLUMNS) / LINE_BYTES,
        item_tiles,
        item_panels,
    };
    pool::run(work.items(), |item| {
        // SAFETY: the results are lent to this call, which waits for all items, and no two share rows and panels.
        unsafe { work.run(item) };
    });
    ROWS.set(rows);
}

struct Work<'a> {
    isa: Isa,
    weights: &'a QuantPanels,
    rows: &'a TiledRows,
    layout: Layout,
    epilogue: &'a Epilogue<'a>,
    sink: &'a Sink,
    kernel: Kernel,
    tile: Run,
    /// Lines of a chunk of an unpacked panel.
    unpacked_lines: usize,
    item_tiles: usize,
    item_panels: usize,
}

/// The most tiles and panels of an item, where there are so many panels.
fn item_size(layout: &Layout, panels: usize) -> (usize, usize) {
    let tiles = layout.tiles();
    let item_tiles = tiles.div_ceil(layout.rows.div_ceil(MOST_ITEM_ROWS));
    let items = |item_panels: usize| tiles.div_ceil(item_tiles) * panels.div_ceil(item_panels);
    let mut item_panels = MOST_ITEM_PANELS;
    while item_panels > UNIT_PANELS && items(item_panels) < ENOUGH_ITEMS * pool::threads() {
        item_panels /= 2;
    }
    (item_tiles, item_panels)
}

impl Work<'_> {
    fn items(&self) -> usize {
        self.layout.tiles().div_ceil(self.item_tiles) * self.weights.len().div_ceil(self.item_panels)
    }

    /// Tiles and panels of an item. Items with the same panels follow each other.
    fn item(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let blocks = self.layout.tiles().div_ceil(self.item_tiles);
        let (tile, panel) = (index % blocks * self.item_tiles, index / blocks * self.item_panels);
        let tiles = tile..self.layout.tiles().min(tile + self.item_tiles);
        (tiles, panel..self.weights.len().min(panel + self.item_panels))
    }

    /// Multiplies the rows by the panels of an item.
    ///
    /// # Safety
    /// The memory of the sink is still lent, and nobody else uses the part of it for this item.
    unsafe fn run(&self, index: usize) {
        let (tiles, panels) = self.item(index);
        let (mut unpacked, mut lines) = (UNPACKED.take(), SUMS.take());
        unpacked.resize(self.unpacked_lines, Line::zeroed());
        let unit_floats = tiles.len() * tile::sums(self.layout.tile_rows, UNIT_PANELS);
        lines.clear();
        lines.resize(panels.len().div_ceil(UNIT_PANELS) * unit_floats / PANEL_ROWS, Line::zeroed());
        let sums: &mut [f32] = bytemuck::cast_slice_mut(&mut lines);
        for chunk in 0..self.layout.chunks() {
            for panel in panels.clone() {
                self.unpack(panel, chunk, &mut unpacked);
                self.ask_for(if panel + 1 < panels.end { (panel + 1, chunk) } else { (panels.start, chunk + 1) });
                let index = panel - panels.start;
                let unit = index / UNIT_PANELS * UNIT_PANELS;
                let width = UNIT_PANELS.min(panels.len() - unit);
                let sums = &mut sums[unit / UNIT_PANELS * unit_floats..][..tiles.len() * self.tile_sums(width)];
                for (tile, sums) in tiles.clone().zip(sums.chunks_exact_mut(self.tile_sums(width))) {
                    self.multiply(&unpacked, chunk, tile, &mut sums[(index - unit) * PANEL_ROWS..], width * PANEL_ROWS);
                }
            }
        }
        for (first_panel, sums) in panels.clone().step_by(UNIT_PANELS).zip(sums.chunks_exact_mut(unit_floats)) {
            let width = UNIT_PANELS.min(panels.end - first_panel);
            for (tile, sums) in tiles.clone().zip(sums.chunks_exact_mut(self.tile_sums(width))) {
                let first_row = tile * self.layout.tile_rows;
                let rows = self.layout.tile_rows.min(self.layout.rows - first_row);
                let sums = &mut sums[..tile::sums(rows, width)];
                let mut tile = epilogue::Tile { sums, first_row, rows, first_panel, panels: width };
                // SAFETY: the caller's.
                unsafe { epilogue::finish(self.isa, &mut tile, self.epilogue, self.sink) };
            }
        }
        UNPACKED.set(unpacked);
        SUMS.set(lines);
    }

    /// Floats of the sums of a tile by so many panels, `[rows, panels, 16]`.
    fn tile_sums(&self, panels: usize) -> usize {
        tile::sums(self.layout.tile_rows, panels)
    }

    /// The stored blocks of a panel in a chunk.
    fn stored(&self, panel: usize, chunk: usize) -> &[u8] {
        let (columns, lines) = self.weights.format().panel_block();
        let panel = &self.weights.panel(panel)[chunk * CHUNK_COLUMNS / columns * lines * LINE_BYTES..];
        &panel[..panel.len().min(CHUNK_COLUMNS / columns * lines * LINE_BYTES)]
    }

    /// Unpacks a chunk of a panel.
    fn unpack(&self, panel: usize, chunk: usize, to: &mut [Line]) {
        assert_eq!(to.len(), self.unpacked_lines);
        let columns = self.layout.chunk_columns(chunk);
        // SAFETY: the instructions are there, as `product` asserts. The blocks are those of so many columns; there is
        // room for a whole chunk; and both are aligned, the blocks as a multiple of 64 bytes from the start of a page.
        unsafe { (self.kernel.unpack)(self.stored(panel, chunk).as_ptr(), columns, to.as_mut_ptr().cast()) };
    }

    /// Asks memory for the stored blocks of a panel in a chunk, if there is such a chunk.
    fn ask_for(&self, (panel, chunk): (usize, usize)) {
        if chunk < self.layout.chunks() {
            for line in self.stored(panel, chunk).chunks(LINE_BYTES) {
                prefetch::line_to_second(line.as_ptr());
            }
        }
    }

    /// Adds a tile's products in a chunk to the sums, whose rows are `stride` apart.
    fn multiply(&self, unpacked: &[Line], chunk: usize, tile: usize, sums: &mut [f32], stride: usize) {
        let blocks = self.layout.chunk_columns(chunk) / SHARED;
        assert!(sums.len() >= (self.layout.tile_rows - 1) * stride + PANEL_ROWS);
        assert!(sums.as_ptr().addr().is_multiple_of(LINE_BYTES) && stride.is_multiple_of(PANEL_ROWS));
        let x = self.rows.part(&self.layout, chunk, tile);
        // SAFETY: the instructions are there, as `product` asserts. The chunk was unpacked whole, rows were rounded for
        // the format, and there are sums of all rows, aligned.
        unsafe { (self.tile)(unpacked.as_ptr().cast(), blocks, x.as_ptr(), sums.as_mut_ptr(), stride) };
    }
}
