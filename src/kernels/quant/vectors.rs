//! The one place from which tiles in vectors are called.

use std::marker::PhantomData;
use std::ops::Range;

use bytemuck::Zeroable;

use super::activations::{Activations, MOST_ROWS};
use super::panels::QuantPanels;
use super::rounded::{Pointers, Rounded};
use super::unpacked::Unpack;
use super::{bytes, exact, tile};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::product::Line;
use crate::kernels::product::epilogue::MOST_PANELS;

/// Unpacked panels should leave room in the second cache.
const UNPACKED_PANELS: usize = 2;

/// Tiles for some weights and activations.
pub(super) struct Tiles<'a> {
    weights: &'a QuantPanels,
    m: usize,
    which: Which<'a>,
    unpack: Option<Unpack>,
}

enum Which<'a> {
    Exact(tile::Tiles<*const f32>, &'a [f32]),
    Int8(tile::Tiles<Pointers>, &'a Rounded),
}

/// Whole panels, as the tiles read them.
pub(super) struct Ready<'a> {
    panels: [*const u8; MOST_PANELS],
    len: usize,
    lent: PhantomData<&'a [Line]>,
}

impl Ready<'_> {
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl<'a> Tiles<'a> {
    /// Tiles in vectors of `isa`, which is above the plain one, for `m` rows of `x`.
    pub(super) fn new(isa: Isa, weights: &'a QuantPanels, x: Activations<'a>, m: usize) -> Self {
        let (format, mut unpack) = (weights.format(), None);
        let which = match x {
            Activations::Exact(x) => Which::Exact(exact::tiles(isa, format), x),
            Activations::Int8(x) => match bytes::unpacked_tiles(isa, format, m) {
                Some((how, tiles)) => {
                    unpack = Some(how);
                    Which::Int8(tiles, x)
                }
                None => Which::Int8(bytes::tiles(isa, format), x),
            },
        };
        Self { weights, m, which, unpack }
    }

    /// The panels to multiply by at once.
    pub(super) fn most_panels(&self) -> usize {
        if self.unpack.is_some() { UNPACKED_PANELS } else { MOST_PANELS }
    }

    /// At most so many panels, which may lie in `scratch`.
    pub(super) fn panels<'s>(&'s self, panels: Range<usize>, scratch: &'s mut Vec<Line>) -> Ready<'s> {
        let mut ready = Ready { panels: [std::ptr::null(); MOST_PANELS], len: panels.len(), lent: PhantomData };
        let columns = self.weights.columns();
        let lines = self.unpack.as_ref().map_or(0, |unpack| (unpack.lines)(columns));
        if scratch.len() < lines * panels.len() {
            scratch.resize(lines * panels.len(), Line::zeroed());
        }
        for (index, panel) in panels.enumerate() {
            ready.panels[index] = self.weights.panel(panel).as_ptr();
            if let Some(unpack) = &self.unpack {
                let to = scratch[index * lines..][..lines].as_mut_ptr().cast();
                // SAFETY: the instructions are there, as for the tiles; the panel is whole; there are as many lines as
                // it takes; and both are aligned, the panel as a multiple of 64 bytes from the start of a page.
                unsafe { (unpack.run)(ready.panels[index], columns, to) };
                ready.panels[index] = to;
            }
        }
        ready
    }

    /// Writes the sums `[rows, panels, 16]` of some rows from `first_row` on, and returns how many.
    pub(super) fn multiply(&self, panels: &Ready<'_>, first_row: usize, sums: &mut [f32]) -> usize {
        let (rows, columns) = (self.m - first_row, self.weights.columns());
        match self.which {
            Which::Exact(tiles, x) => {
                let row = |row: usize| x[(first_row + row) * columns..][..columns].as_ptr();
                run(&tiles(rows), &panels.panels[..panels.len], columns, row, sums)
            }
            Which::Int8(tiles, x) => {
                let row = |row: usize| x.pointers(first_row + row);
                run(&tiles(rows), &panels.panels[..panels.len], columns, row, sums)
            }
        }
    }
}

/// Multiplies by a tile as many panels as there are, for which it is called more than once if need be.
fn run<X: Copy>(
    tile: &tile::Tile<X>,
    panels: &[*const u8],
    columns: usize,
    row: impl Fn(usize) -> X,
    sums: &mut [f32],
) -> usize {
    let (rows, stride) = (tile.rows, panels.len() * PANEL_ROWS);
    let sums = &mut sums[..rows * stride];
    let mut x = [row(0); MOST_ROWS];
    for (index, x) in x[..rows].iter_mut().enumerate() {
        *x = row(index);
    }
    for (index, panels) in panels.chunks(tile.panels).enumerate() {
        let sums = sums[index * tile.panels * PANEL_ROWS..].as_mut_ptr();
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it. `Ready` has whole, aligned
        // panels of the tile's format and so many columns; rows are as long, and rounded for the format if at all; and
        // the sums of these panels, which lie in each of the rows, end where those of all do.
        unsafe { (tile.run)(panels, columns, &x[..rows], sums, stride) };
    }
    rows
}
