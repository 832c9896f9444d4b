//! A few rows of activations by a panel in plain Rust: the twins of the vector tiles.

use super::{Row, blocks};
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::quant::QuantPanels;
use crate::kernels::quant::activations::Activations;
use crate::kernels::quant::rounded::{Row as Rounded, SHARED};

/// The sums of one row by one panel.
pub(in super::super) fn row(weights: &QuantPanels, panel: usize, x: Activations<'_>, row: usize) -> [f32; PANEL_ROWS] {
    let columns = weights.columns();
    match x {
        Activations::Exact(x) => exact(weights, panel, &x[row * columns..][..columns]),
        Activations::Int8(x) => bytes(weights, panel, x.row(row)),
    }
}

/// The sums of one row by one panel, nothing rounded: a chain of additions in the order of the columns.
fn exact(weights: &QuantPanels, panel: usize, x: &[f32]) -> [f32; PANEL_ROWS] {
    let format = weights.format();
    let mut sums = [0.0; PANEL_ROWS];
    for (columns, block) in blocks(format, weights.panel(panel), weights.columns()) {
        for (group, x) in x[columns].chunks_exact(format.group()).enumerate() {
            let scales = std::array::from_fn::<_, PANEL_ROWS, _>(|lane| Row { format, block, lane }.scale(group));
            for (quad, x) in x.chunks_exact(4).enumerate() {
                for (lane, (sum, of)) in sums.iter_mut().zip(scales).enumerate() {
                    let numbers = Row { format, block, lane }.quad(group, quad);
                    for (number, x) in numbers.into_iter().zip(x) {
                        *sum += x * (of.scale * f32::from(number) - of.minimum);
                    }
                }
            }
        }
    }
    sums
}

/// The sums of one rounded row by one panel: exact in integers for each group, then added in f32.
fn bytes(weights: &QuantPanels, panel: usize, x: Rounded<'_>) -> [f32; PANEL_ROWS] {
    let (format, all_columns) = (weights.format(), weights.columns());
    let mut sums = [0.0; PANEL_ROWS];
    for (columns, block) in blocks(format, weights.panel(panel), all_columns) {
        let first = columns.start;
        for (group, numbers) in x.numbers[columns].chunks_exact(format.group()).enumerate() {
            let shared = (first + group * format.group()) / SHARED;
            for (lane, sum) in sums.iter_mut().enumerate() {
                let weights = Row { format, block, lane };
                let mut dot = 0;
                for (quad, x) in numbers.chunks_exact(4).enumerate() {
                    for (number, x) in weights.quad(group, quad).into_iter().zip(x) {
                        dot += (i32::from(number) - format.offset().unwrap_or(0)) * i32::from(*x);
                    }
                }
                let scale = weights.scale(group);
                let mut part = dot as f32 * scale.scale;
                if format.offset().is_none() {
                    part -= x.sums[shared] * scale.minimum;
                }
                *sum += part * x.scales[shared];
            }
        }
    }
    sums
}
