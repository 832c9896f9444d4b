//! Where a product takes its weights from: panels that lie in memory, or panels made of something smaller when needed.

use crate::kernels::isa::Isa;
use crate::kernels::panels::{Element, PANEL_ROWS, Panels};

/// 64 bytes of weights, aligned so that no vector crosses a cache line: one step of a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; 16]);

// SAFETY: all bits of `Line` are those of its integers, which may be zero.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: `Line` is an array of integers that fills its alignment: no padding, and any bits are a value.
unsafe impl bytemuck::Pod for Line {}

/// Weights `[rows, columns]` for [`product`](super::product).
pub(crate) trait Source: Sync {
    /// What the values of the panels are that [`panels`](Self::panels) gives.
    fn element(&self) -> Element;

    /// Outputs.
    fn rows(&self) -> usize;

    /// Inputs.
    fn columns(&self) -> usize;

    /// Panels `first` to `first + count - 1`, one after another in the layout of [`Panels`]: either memory of the
    /// source's own, or what it writes to `scratch`, which it may resize and whose contents mean nothing before. Asked
    /// for once for each part of the work, a few panels at a time, on any thread.
    fn panels<'a>(&'a self, isa: Isa, first: usize, count: usize, scratch: &'a mut Vec<Line>) -> &'a [u8];

    /// Whether panels are made anew each time, by which AMX cuts its work.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    fn are_made(&self) -> bool {
        false
    }

    /// Panels, the last of which may have rows of zeros.
    fn len(&self) -> usize {
        self.rows().div_ceil(PANEL_ROWS)
    }
}

impl Source for Panels {
    fn element(&self) -> Element {
        self.element()
    }

    fn rows(&self) -> usize {
        self.rows()
    }

    fn columns(&self) -> usize {
        self.columns()
    }

    fn panels<'a>(&'a self, _isa: Isa, first: usize, count: usize, _scratch: &'a mut Vec<Line>) -> &'a [u8] {
        self.bytes(first, count)
    }
}
