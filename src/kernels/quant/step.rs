//! The product for a few rows: weights are read once, as they are stored, and widened or multiplied in registers.

use std::cell::RefCell;

use super::panels::QuantPanels;
use super::plain::tiles as plain;
use super::rounded::Rounded;
use super::tile::{MOST_ROWS, Tile};
#[cfg(target_arch = "x86_64")]
use super::{bytes, exact};
use crate::kernels::isa::Isa;
use crate::kernels::panels::{Element, PANEL_ROWS};
use crate::kernels::pool;
use crate::kernels::product::epilogue::{self, MOST_PANELS, Sink};
use crate::kernels::product::{Epilogue, Out, check};

/// How to multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// Activations as they are; the very sums of [`product`](crate::kernels::product::product) with
    /// [`Operands::Exact`](crate::kernels::product::Operands::Exact).
    Exact,
    /// Activations rounded to 8 bits, 32 columns to a scale; integer products.
    Int8,
}

/// A task reads so much at least, if there are tasks enough then.
const TASK_BYTES: usize = 128 << 10;
/// So many tasks keep the threads equally busy.
const ENOUGH_TASKS: usize = 32;

thread_local! {
    static ROUNDED: RefCell<Rounded> = RefCell::default();
}

/// Multiplies `x`, `[m, columns]`, by the weights and finishes the sums. Meant for few rows, right for any number. The
/// width is that of [`product`](crate::kernels::product::product).
pub(crate) fn step(
    isa: Isa,
    x: &[f32],
    weights: &QuantPanels,
    arithmetic: Arithmetic,
    epilogue: &Epilogue<'_>,
    width: usize,
    out: Out<'_>,
) {
    let columns = weights.columns();
    let m = x.len() / columns;
    assert_eq!(x.len(), m * columns, "rows of {columns} values");
    check(m, &weights.widened(Element::F32), epilogue, width, &out);
    if m == 0 {
        return;
    }
    let sink = Sink::new(out, width);
    let run = |x: Activations<'_>| {
        let work = Work { isa, weights, x, m, epilogue, sink: &sink };
        let panels = work.task_panels();
        pool::run(weights.len().div_ceil(panels), |task| {
            let first = task * panels;
            // SAFETY: the results are lent to this call, which waits for all tasks, and no two share a panel.
            unsafe { work.run(first, (first + panels).min(weights.len())) }
        });
    };
    match arithmetic {
        Arithmetic::Exact => run(Activations::Exact(x)),
        Arithmetic::Int8 => {
            let format = weights.format();
            let mut rounded = ROUNDED.take();
            rounded.round(x, format.offset().map(|offset| (offset, format.group())));
            run(Activations::Int8(&rounded));
            ROUNDED.set(rounded);
        }
    }
}

#[derive(Clone, Copy)]
enum Activations<'a> {
    Exact(&'a [f32]),
    Int8(&'a Rounded),
}

struct Work<'a> {
    isa: Isa,
    weights: &'a QuantPanels,
    x: Activations<'a>,
    m: usize,
    epilogue: &'a Epilogue<'a>,
    sink: &'a Sink,
}

/// The sums of a tile, in whole cache lines.
#[repr(align(64))]
struct Sums([f32; MOST_ROWS * MOST_PANELS * PANEL_ROWS]);

impl Work<'_> {
    /// Panels of a task: a multiple of those that are finished at once.
    fn task_panels(&self) -> usize {
        let mut units = (TASK_BYTES / (MOST_PANELS * self.weights.panel(0).len())).max(1);
        while units > 1 && self.weights.len() < units * MOST_PANELS * ENOUGH_TASKS {
            units /= 2;
        }
        units * MOST_PANELS
    }

    /// Multiplies all rows by panels `first` to `end - 1`.
    ///
    /// # Safety
    /// The memory of the sink is still lent, and nobody else uses the part of it for these panels.
    unsafe fn run(&self, first: usize, end: usize) {
        let mut sums = Sums([0.0; MOST_ROWS * MOST_PANELS * PANEL_ROWS]);
        for first_panel in (first..end).step_by(MOST_PANELS) {
            let panels = MOST_PANELS.min(end - first_panel);
            let mut first_row = 0;
            while first_row < self.m {
                let rows = self.multiply(first_row, first_panel, panels, &mut sums.0);
                let sums = &mut sums.0[..rows * panels * PANEL_ROWS];
                let mut tile = epilogue::Tile { sums, first_row, rows, first_panel, panels };
                // SAFETY: the caller's.
                unsafe { epilogue::finish(self.isa, &mut tile, self.epilogue, self.sink) };
                first_row += rows;
            }
        }
    }

    /// Sums of some rows from `first_row` on by some panels, `[rows, panels, 16]`; returns how many rows.
    fn multiply(&self, first_row: usize, first_panel: usize, panels: usize, sums: &mut [f32]) -> usize {
        let (format, columns) = (self.weights.format(), self.weights.columns());
        #[cfg(target_arch = "x86_64")]
        {
            let rows = self.m - first_row;
            let done = match self.x {
                Activations::Exact(x) => exact::best(self.isa, format, rows).map(|tile| {
                    self.multiply_in_vectors(&tile, first_panel, panels, sums, |row| {
                        x[(first_row + row) * columns..][..columns].as_ptr()
                    })
                }),
                Activations::Int8(x) => bytes::best(self.isa, format, rows).map(|tile| {
                    self.multiply_in_vectors(&tile, first_panel, panels, sums, |row| x.row(first_row + row, columns))
                }),
            };
            if let Some(rows) = done {
                return rows;
            }
        }
        for (panel, sums) in sums[..panels * PANEL_ROWS].chunks_exact_mut(PANEL_ROWS).enumerate() {
            let sum = match self.x {
                Activations::Exact(x) => {
                    plain::exact(self.weights, first_panel + panel, &x[first_row * columns..][..columns])
                }
                Activations::Int8(x) => plain::bytes(self.weights, first_panel + panel, x, first_row),
            };
            sums.copy_from_slice(&sum);
        }
        1
    }

    /// The same by a tile, whose rows `row` gives.
    #[cfg(target_arch = "x86_64")]
    fn multiply_in_vectors<X: Copy>(
        &self,
        tile: &Tile<X>,
        first_panel: usize,
        panels: usize,
        sums: &mut [f32],
        row: impl Fn(usize) -> X,
    ) -> usize {
        let (rows, columns, stride) = (tile.rows, self.weights.columns(), panels * PANEL_ROWS);
        let sums = &mut sums[..rows * stride];
        let bytes: [_; MOST_PANELS] =
            std::array::from_fn(|panel| self.weights.panel(first_panel + panel.min(panels - 1)).as_ptr());
        let x: [_; MOST_ROWS] = std::array::from_fn(|index| row(index.min(rows - 1)));
        for (index, bytes) in bytes[..panels].chunks(tile.panels).enumerate() {
            let sums = sums[index * tile.panels * PANEL_ROWS..].as_mut_ptr();
            // SAFETY: an `Isa` other than the plain one is only made where the machine has it. Panels are whole, and
            // aligned as multiples of 64 bytes from the start of a mapping; rows are whole; and the sums of these panels,
            // which lie in each of the rows, end where those of all do.
            unsafe { (tile.run)(bytes, columns, &x[..rows], sums, stride) };
        }
        rows
    }
}
