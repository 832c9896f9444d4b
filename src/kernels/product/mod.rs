//! Matrix products on weights in panels, with what follows a product done to each tile while it is in the cache.
//!
//! Work is cut into items of up to some hundred rows of activations by a few panels of weights. An item asks its
//! [`Source`] for the panels once, then runs over all its row tiles with each panel or two, which stay in the cache
//! meanwhile. A tile keeps its sums in registers over all columns, in order: each output is one chain of additions
//! that no tile's shape changes, so that a row's results are the same to the bit whatever rows are computed with it.

mod activation;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512bf16;
pub(in crate::kernels) mod epilogue;
#[cfg(target_arch = "aarch64")]
mod neon;
mod operands;
mod plain;
mod plan;
mod shape;
mod source;
#[cfg(test)]
mod tests;
mod tile;
mod vectors;

pub(crate) use source::{Line, Source};

use std::cell::Cell;

use self::epilogue::Sink;
use self::plan::Plan;
use self::tile::Kernel;
use super::isa::Isa;
use super::operands::Operands;
pub(crate) use super::out::Out;
#[cfg(target_arch = "x86_64")]
use super::panels::Element;
use super::panels::PANEL_ROWS;
use super::pool;
pub(crate) use super::values::Values as Rows;

/// What follows the sum and the bias.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then<'a> {
    Nothing,
    /// GELU by the formula with the hyperbolic tangent.
    GeluTanh,
    /// GELU by the error function.
    GeluErf,
    /// Adds `[m, width]`.
    Add(&'a [f32]),
    /// Panel 2g holds gate rows and panel 2g + 1 the up rows of the same 16 outputs, which are silu(gate) * up.
    SiluTimes,
}

/// What is done to the sums before they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// A number for each row of the weights.
    pub bias: Option<&'a [f32]>,
    pub then: Then<'a>,
}

thread_local! {
    /// Where the thread's sources make panels.
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Multiplies activations `[m, columns]` by the weights and finishes the sums, `[m, width]`. The width is the number of
/// the weights' rows, or, for [`Then::SiluTimes`], that of the outputs.
pub(crate) fn product(
    isa: Isa,
    x: Rows<'_>,
    weights: &impl Source,
    operands: Operands,
    epilogue: &Epilogue<'_>,
    width: usize,
    out: Out<'_>,
) {
    let columns = weights.columns();
    let m = x.rows(columns);
    check(m, weights, epilogue, width, &out);
    if m == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if (isa, weights.element(), operands) == (Isa::Amx, Element::Bf16, Operands::Bf16) {
        // SAFETY: an `Isa` is only made where the machine has it; the results are lent to this call.
        unsafe { amx::product(x, m, weights, epilogue, &Sink::new(out, width)) };
        return;
    }
    let kernel = Kernel::new(isa, weights.element(), operands);
    let plan = Plan::new(isa, kernel, m, weights, epilogue.then);
    let sink = Sink::new(out, width);
    operands::with_ready(isa, x, columns, kernel.wanted(), |x| {
        pool::run(plan.items(), |item| {
            let (rows, panels) = plan.item(item);
            let mut scratch = SCRATCH.take();
            let bytes = weights.panels(isa, panels.start, panels.len(), &mut scratch);
            // SAFETY: the results are lent to this call, which waits for all items, and no two share rows and panels.
            unsafe { plan.multiply(rows, panels, bytes, x, epilogue, &sink) };
            SCRATCH.set(scratch);
        });
    });
}

/// Stops at sizes that do not fit together.
pub(in crate::kernels) fn check(m: usize, weights: &impl Source, epilogue: &Epilogue<'_>, width: usize, out: &Out<'_>) {
    let (rows, panels) = (weights.rows(), weights.len());
    let len = match out {
        Out::F32(out) => out.len(),
        Out::Bf16(out) => out.len(),
    };
    assert_eq!(len, m * width, "results of {m} rows by {width}");
    match epilogue.then {
        Then::SiluTimes => assert_eq!(2 * width.div_ceil(PANEL_ROWS), panels, "two panels for 16 of {width} outputs"),
        _ => assert_eq!(width, rows, "an output for each row of the weights"),
    }
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), rows, "a bias for each row of the weights");
    }
    if let Then::Add(to) = epilogue.then {
        assert_eq!(to.len(), len, "something to add to each result");
    }
}
