//! Products with weights as they are stored.

use std::borrow::Cow;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::many;
use super::panels::QuantPanels;
use super::step::{Arithmetic, step};
use crate::kernels::isa::Isa;
use crate::kernels::out::Value;
use crate::kernels::panels::Element;
use crate::kernels::product::epilogue::Sink;
use crate::kernels::product::{Epilogue, Out, check};
use crate::kernels::values::Values;

/// Multiplies `x`, `[m, columns]`, by the weights and finishes the sums. A row's results do not depend on how many rows
/// there are. The width is that of [`product`](crate::kernels::product::product), which in exact arithmetic is faster
/// for more than a few rows.
pub(crate) fn multiply(
    isa: Isa,
    x: Values<'_>,
    weights: &QuantPanels,
    arithmetic: Arithmetic,
    epilogue: &Epilogue<'_>,
    width: usize,
    out: Out<'_>,
) {
    let columns = weights.columns();
    let m = x.rows(columns);
    check(m, &weights.widened(Element::F32), epilogue, width, &out);
    if m == 0 {
        return;
    }
    let sink = Sink::new(out, width);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if arithmetic == Arithmetic::Int8 && many::suits(isa, m) {
        many::product(isa, x, m, weights, epilogue, &sink);
        return;
    }
    let x = match x {
        Values::F32(x) => Cow::Borrowed(x),
        Values::Bf16(x) => Cow::Owned(x.iter().map(|x| x.widened()).collect()),
    };
    step(isa, &x, weights, arithmetic, epilogue, &sink);
}
