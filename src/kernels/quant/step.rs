//! The product for a few rows: weights are read once, as they are stored, and widened or multiplied in registers.

use std::cell::Cell;

use super::activations::{Activations, MOST_ROWS};
use super::panels::QuantPanels;
use super::plain::tiles as plain;
use super::rounded::Rounded;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::vectors::Tiles;
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::pool;
use crate::kernels::product::Epilogue;
use crate::kernels::product::epilogue::{self, MOST_PANELS, Sink};

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
/// So many tasks for each thread keep all of them equally busy.
const ENOUGH_TASKS: usize = 16;

thread_local! {
    static ROUNDED: Cell<Rounded> = Cell::default();
}

/// Multiplies `x`, `[m, columns]`, by the weights and finishes the sums. Meant for few rows, right for any number.
pub(super) fn step(
    isa: Isa,
    x: &[f32],
    weights: &QuantPanels,
    arithmetic: Arithmetic,
    epilogue: &Epilogue<'_>,
    sink: &Sink,
) {
    let columns = weights.columns();
    let m = x.len() / columns;
    let run = |x: Activations<'_>| {
        let work = Work { isa, weights, x, m, epilogue, sink };
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
            rounded.round(isa, x, columns, format.offset().map(|offset| (offset, format.group())));
            run(Activations::Int8(&rounded));
            ROUNDED.set(rounded);
        }
    }
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
        while units > 1 && self.weights.len() < units * MOST_PANELS * ENOUGH_TASKS * pool::threads() {
            units /= 2;
        }
        units * MOST_PANELS
    }

    /// Multiplies all rows by panels `first` to `end - 1`.
    ///
    /// # Safety
    /// The memory of the sink is still lent, and nobody else uses the part of it for these panels.
    unsafe fn run(&self, first: usize, end: usize) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if self.isa > Isa::Plain {
            let tiles = Tiles::new(self.isa, self.weights, self.x, self.m);
            for first_panel in (first..end).step_by(MOST_PANELS) {
                let panels = first_panel..end.min(first_panel + MOST_PANELS);
                let count = panels.len();
                // SAFETY: the caller's.
                unsafe { self.finish(first_panel, count, |row, sums| tiles.multiply(panels.clone(), row, sums)) };
            }
            return;
        }
        for first_panel in (first..end).step_by(MOST_PANELS) {
            let panels = MOST_PANELS.min(end - first_panel);
            let multiply = |row: usize, sums: &mut [f32]| {
                for (panel, sums) in sums[..panels * PANEL_ROWS].chunks_exact_mut(PANEL_ROWS).enumerate() {
                    sums.copy_from_slice(&plain::row(self.weights, first_panel + panel, self.x, row));
                }
                1
            };
            // SAFETY: the caller's.
            unsafe { self.finish(first_panel, panels, multiply) };
        }
    }

    /// Stores what all rows by some panels give. `multiply` writes the sums `[rows, panels, 16]` of some rows from the
    /// given one on, and returns how many.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn finish(&self, first_panel: usize, panels: usize, multiply: impl Fn(usize, &mut [f32]) -> usize) {
        let mut sums = Sums([0.0; MOST_ROWS * MOST_PANELS * PANEL_ROWS]);
        let mut first_row = 0;
        while first_row < self.m {
            let rows = multiply(first_row, &mut sums.0);
            let sums = &mut sums.0[..rows * panels * PANEL_ROWS];
            let mut tile = epilogue::Tile { sums, first_row, rows, first_panel, panels };
            // SAFETY: the caller's.
            unsafe { epilogue::finish(self.isa, &mut tile, self.epilogue, self.sink) };
            first_row += rows;
        }
    }
}
