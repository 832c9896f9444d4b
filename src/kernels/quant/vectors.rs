//! The one place from which tiles in vectors are called.

use std::ops::Range;

use super::activations::{Activations, MOST_ROWS};
use super::panels::QuantPanels;
use super::rounded::{Pointers, Rounded};
use super::{bytes, exact, tile};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::product::epilogue::MOST_PANELS;

/// Tiles for some weights and activations.
pub(super) struct Tiles<'a> {
    weights: &'a QuantPanels,
    m: usize,
    which: Which<'a>,
}

enum Which<'a> {
    Exact(tile::Tiles<*const f32>, &'a [f32]),
    Int8(tile::Tiles<Pointers>, &'a Rounded),
}

impl<'a> Tiles<'a> {
    /// Tiles in vectors of `isa`, which is above the plain one, for `m` rows of `x`.
    pub(super) fn new(isa: Isa, weights: &'a QuantPanels, x: Activations<'a>, m: usize) -> Self {
        let format = weights.format();
        let which = match x {
            Activations::Exact(x) => Which::Exact(exact::tiles(isa, format), x),
            Activations::Int8(x) => Which::Int8(bytes::tiles(isa, format), x),
        };
        Self { weights, m, which }
    }

    /// Writes the sums `[rows, panels, 16]` of some rows from `first_row` on by at most [`MOST_PANELS`], and returns
    /// how many rows.
    pub(super) fn multiply(&self, panels: Range<usize>, first_row: usize, sums: &mut [f32]) -> usize {
        let (rows, columns) = (self.m - first_row, self.weights.columns());
        let mut starts = [std::ptr::null(); MOST_PANELS];
        let starts = &mut starts[..panels.len()];
        for (start, panel) in starts.iter_mut().zip(panels) {
            *start = self.weights.panel(panel).as_ptr();
        }
        match self.which {
            Which::Exact(tiles, x) => {
                let row = |row: usize| x[(first_row + row) * columns..][..columns].as_ptr();
                run(&tiles(rows), starts, columns, row, sums)
            }
            Which::Int8(tiles, x) => {
                let row = |row: usize| x.pointers(first_row + row);
                run(&tiles(rows), starts, columns, row, sums)
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
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it. Panels are whole, of the
        // tile's format and so many columns, and aligned as multiples of 64 bytes from the start of a page; rows are as
        // long, and rounded for the format if at all; and the sums of these panels, which lie in each of the rows, end
        // where those of all do.
        unsafe { (tile.run)(panels, columns, &x[..rows], sums, stride) };
    }
    rows
}
