//! Weights as the kernels read them: panels of 16 rows, exact copies of what is stored.
//!
//! A weight matrix `[rows, columns]` (a row for each output) lies as `[rows / 16][columns / 2][16][2]` where values have
//! 16 bits, so that 64 bytes hold one pair of columns of 16 rows: one vector, or one row of a tile in the matrix units
//! of recent Intel processors. Values of 32 bits lie as `[rows / 16][columns][16]`. What is missing of the last panel, and
//! the last column of a pair, is zero.

use memmap2::MmapMut;

use super::pool;
use crate::pages::prefer_huge_pages;

/// Rows of a panel.
pub(crate) const PANEL_ROWS: usize = 16;

/// What the values of a matrix are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Bf16,
    F16,
    F32,
}

impl Element {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Bytes of a panel of `columns` columns.
    pub(crate) fn panel_bytes(self, columns: usize) -> usize {
        match self {
            Self::Bf16 | Self::F16 => columns.div_ceil(2) * PANEL_ROWS * 4,
            Self::F32 => columns * PANEL_ROWS * 4,
        }
    }
}

/// A weight matrix in panels, 64-byte aligned.
#[derive(Debug)]
pub(crate) struct Panels {
    element: Element,
    rows: usize,
    columns: usize,
    memory: MmapMut,
}

/// Why panels could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error<E> {
    #[error("no memory for {bytes} bytes of weights")]
    Memory { bytes: usize, source: std::io::Error },
    #[error(transparent)]
    Read(E),
}

impl Panels {
    /// A matrix whose rows `read` gives: it is called once for each panel, on any thread, with the panel's index and
    /// room for its rows, `[16, columns]` as stored (little-endian) and zero before; rows that there are not stay zero.
    ///
    /// # Errors
    /// No memory, or what `read` returns.
    pub(crate) fn pack<E: Send>(
        element: Element,
        rows: usize,
        columns: usize,
        read: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync,
    ) -> Result<Self, Error<E>> {
        let _ = (pool::run::<fn(usize)>, prefer_huge_pages::<u8>, &read);
        todo!("the owner of `product` writes it: {rows} {columns} {element:?} {}", std::any::type_name::<MmapMut>())
    }

    pub(crate) fn element(&self) -> Element {
        self.element
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Panels, the last of which may have rows of zeros.
    pub(crate) fn len(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// The bytes of `count` panels from `first` on.
    pub(crate) fn bytes(&self, first: usize, count: usize) -> &[u8] {
        let panel = self.element.panel_bytes(self.columns);
        &self.memory[first * panel..(first + count) * panel]
    }
}
