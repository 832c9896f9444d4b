//! Quantized weights for products with many rows: panels of floats, made when they are asked for.

use bytemuck::Zeroable;

use super::panels::QuantPanels;
use super::plain;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::widen;
use crate::kernels::isa::Isa;
use crate::kernels::panels::{Element, PANEL_ROWS};
use crate::kernels::product::{Line, Source};

/// Weights as f32, which is exact, or as bf16.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widened<'a> {
    weights: &'a QuantPanels,
    element: Element,
}

impl QuantPanels {
    /// The weights as a [`Source`] of f32 or bf16.
    pub(crate) fn widened(&self, element: Element) -> Widened<'_> {
        assert_ne!(element, Element::F16, "values of blocks exceed the range of f16");
        Widened { weights: self, element }
    }
}

impl Source for Widened<'_> {
    fn element(&self) -> Element {
        self.element
    }

    fn rows(&self) -> usize {
        self.weights.rows()
    }

    fn columns(&self) -> usize {
        self.weights.columns()
    }

    fn are_made(&self) -> bool {
        true
    }

    fn panels<'a>(&'a self, isa: Isa, first: usize, count: usize, scratch: &'a mut Vec<Line>) -> &'a [u8] {
        let columns = self.weights.columns();
        let lines = self.element.panel_bytes(columns) / size_of::<Line>();
        if scratch.len() < count * lines {
            scratch.resize(count * lines, Line::zeroed());
        }
        let scratch = &mut scratch[..count * lines];
        for (panel, lines) in scratch.chunks_exact_mut(lines).enumerate() {
            let panel = self.weights.panel(first + panel);
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            if let Some(widen) = widen::best(isa, self.weights.format(), self.element) {
                // SAFETY: an `Isa` other than the plain one is only made where the machine has it. The panel is whole
                // and aligned as a multiple of 64 bytes from the start of a page; lines are aligned, and as many as
                // a panel takes.
                unsafe { widen(panel.as_ptr(), columns, lines.as_mut_ptr().cast()) };
                continue;
            }
            let _ = isa;
            widen_plainly(self, panel, lines);
        }
        bytemuck::cast_slice(scratch)
    }
}

/// A panel of floats, value by value.
fn widen_plainly(weights: &Widened<'_>, panel: &[u8], lines: &mut [Line]) {
    let mut values = vec![0.0; weights.columns()];
    for lane in 0..PANEL_ROWS {
        plain::widen_row(weights.weights.format(), panel, lane, &mut values);
        match weights.element {
            Element::Bf16 | Element::F16 => {
                for (line, pair) in lines.iter_mut().zip(values.chunks_exact(2)) {
                    let [even, odd] = [pair[0], pair[1]].map(|value| u32::from(half::bf16::from_f32(value).to_bits()));
                    line.0[lane] = even | odd << 16;
                }
            }
            Element::F32 => {
                for (line, value) in lines.iter_mut().zip(&values) {
                    line.0[lane] = value.to_bits();
                }
            }
        }
    }
}
