//! Matrix products on weights in panels, with what follows a product done to each tile while it is in the cache.
//!
//! Work is cut into items of up to some hundred rows of activations by a few panels of weights. An item asks its
//! [`Source`] for the panels once, then runs over all its row tiles with each panel or two, which stay in the cache
//! meanwhile. A tile keeps its sums in registers over all columns, in order: each output is one chain of additions that no
//! tile's shape changes, so that a row's results are the same to the bit whatever rows are computed with it.

mod source;

pub(crate) use source::{Line, Source};

use half::bf16;

use super::isa::Isa;

/// Activations `[m, columns]`, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// How exactly to multiply. Sums are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operands {
    /// Activations and weights as they are, in f32.
    Exact,
    /// Activations rounded to bf16, where the weights are bf16; panels of f16 and f32 always multiply exactly.
    Bf16,
}

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

/// Where the results go, `[m, width]`.
#[derive(Debug)]
pub(crate) enum Out<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [bf16]),
}

/// Multiplies activations by the weights and finishes the sums. The width is the number of the weights' rows, or, for
/// [`Then::SiluTimes`], that of the outputs.
pub(crate) fn product(
    isa: Isa,
    x: Rows<'_>,
    weights: &impl Source,
    operands: Operands,
    epilogue: &Epilogue<'_>,
    width: usize,
    out: Out<'_>,
) {
    todo!("{isa:?} {x:?} {operands:?} {epilogue:?} {width} {out:?} {}", weights.len())
}
