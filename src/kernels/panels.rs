//! Weights as the kernels read them: panels of 16 rows, exact copies of what is stored.
//!
//! A weight matrix `[rows, columns]` (a row for each output) lies as `[rows / 16][columns / 2][16][2]` where values
//! have 16 bits, so that 64 bytes hold one pair of columns of 16 rows: one vector, or one row of a tile in the matrix
//! units of recent Intel processors. Values of 32 bits lie as `[rows / 16][columns][16]`. What is missing of the last
//! panel, and the last column of a pair, is zero.

mod transpose;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use memmap2::MmapMut;

pub(super) use self::transpose::transpose;
use super::isa::Isa;
use super::pool;
use crate::pages::prefer_huge_pages;

/// Rows of a panel.
pub(crate) const PANEL_ROWS: usize = 16;

/// Panels start at a multiple of this, so that huge pages hold them from the first byte on.
pub(super) const HUGE_PAGE_BYTES: usize = 2 << 20;

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
    /// Where the panels begin in the memory: at a huge page.
    start: usize,
}

/// Why panels could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error<E> {
    #[error("no memory for {bytes} bytes of weights")]
    Memory { bytes: usize, source: std::io::Error },
    #[error(transparent)]
    Read(E),
}

thread_local! {
    /// The rows of the panel that the thread packs.
    static STRIPE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Panels {
    /// A matrix whose rows `read` gives: it is called once for each panel, on any thread, with the panel's index and
    /// room for the rows that there are, `[16, columns]` or fewer, to fill with what is stored (little-endian).
    ///
    /// # Errors
    /// No memory, or the first that `read` returns; then it may not be called for every panel.
    pub(crate) fn pack<E: Send>(
        isa: Isa,
        element: Element,
        rows: usize,
        columns: usize,
        read: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync,
    ) -> Result<Self, Error<E>> {
        assert!(rows > 0 && columns > 0, "a matrix of {rows} rows and {columns} columns");
        let panel_bytes = element.panel_bytes(columns);
        let bytes = rows.div_ceil(PANEL_ROWS) * panel_bytes;
        let mut memory =
            MmapMut::map_anon(bytes + HUGE_PAGE_BYTES).map_err(|source| Error::Memory { bytes, source })?;
        // What lies before the first huge page is never touched, so that it takes up no memory.
        let start = memory.as_ptr().align_offset(HUGE_PAGE_BYTES).min(HUGE_PAGE_BYTES);
        prefer_huge_pages(&mut memory[start..start + bytes]);
        let row_bytes = columns * element.bytes();
        // A lock for each panel, which nobody ever waits for, hands the parts of the memory out.
        let panels: Vec<_> = memory[start..start + bytes].chunks_exact_mut(panel_bytes).map(Mutex::new).collect();
        let failure = Mutex::new(None);
        let failed = AtomicBool::new(false);
        pool::run(panels.len(), |index| {
            if failed.load(Ordering::Relaxed) {
                return;
            }
            let mut stripe = STRIPE.take();
            stripe.resize(PANEL_ROWS * row_bytes, 0);
            let (present, missing) = stripe.split_at_mut((rows - index * PANEL_ROWS).min(PANEL_ROWS) * row_bytes);
            missing.fill(0);
            match read(index, present) {
                Ok(()) => {
                    let mut panel = panels[index].lock().unwrap_or_else(PoisonError::into_inner);
                    transpose(isa, &stripe, row_bytes, &mut panel);
                }
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
            STRIPE.set(stripe);
        });
        drop(panels);
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(Error::Read(error)),
            None => Ok(Self { element, rows, columns, memory, start }),
        }
    }

    /// Row `row` as f32, which holds every value exactly.
    pub(crate) fn widen_row(&self, row: usize, to: &mut [f32]) {
        assert!(row < self.rows && to.len() == self.columns);
        let lane = row % PANEL_ROWS;
        let panel = self.bytes(row / PANEL_ROWS, 1);
        let words =
            panel.chunks_exact(4).skip(lane).step_by(PANEL_ROWS).map(|word| [word[0], word[1], word[2], word[3]]);
        match self.element {
            Element::F32 => to.iter_mut().zip(words).for_each(|(to, word)| *to = f32::from_le_bytes(word)),
            Element::Bf16 => widen_pairs(to, words, |half| bf16::from_le_bytes(half).to_f32()),
            Element::F16 => widen_pairs(to, words, |half| f16::from_le_bytes(half).to_f32()),
        }
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

    /// The bytes of `count` panels from `first` on.
    pub(crate) fn bytes(&self, first: usize, count: usize) -> &[u8] {
        let panel = self.element.panel_bytes(self.columns);
        &self.memory[self.start..][first * panel..(first + count) * panel]
    }
}

/// Widens the two halves of each word.
fn widen_pairs(to: &mut [f32], words: impl Iterator<Item = [u8; 4]>, widen: impl Fn([u8; 2]) -> f32) {
    for (pair, [a, b, c, d]) in to.chunks_mut(2).zip(words) {
        pair[0] = widen([a, b]);
        if let Some(odd) = pair.get_mut(1) {
            *odd = widen([c, d]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that differ from their neighbours in every row and column.
    fn stored(element: Element, rows: usize, columns: usize) -> Vec<u8> {
        (0..rows * columns * element.bytes()).map(|i| (i * 131 % 251) as u8).collect()
    }

    fn pack(isa: Isa, element: Element, rows: usize, columns: usize, stored: &[u8]) -> Panels {
        let stripe = PANEL_ROWS * columns * element.bytes();
        Panels::pack(isa, element, rows, columns, |index, to| {
            to.copy_from_slice(&stored[index * stripe..][..to.len()]);
            Ok::<_, ()>(())
        })
        .unwrap()
    }

    proptest! {
        #[test]
        fn every_value_lies_where_the_layout_says(
            element in prop::sample::select(vec![Element::Bf16, Element::F16, Element::F32]),
            rows in 1usize..70,
            columns in 1usize..90,
        ) {
            let stored = stored(element, rows, columns);
            for isa in Isa::available() {
                let panels = pack(isa, element, rows, columns, &stored);
                let bytes = panels.bytes(0, panels.rows().div_ceil(PANEL_ROWS));
                let size = element.bytes();
                let (per_word, lines) = (4 / size, columns.div_ceil(4 / size));
                let mut seen = vec![0u8; bytes.len()];
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let line = row / 16 * lines + column / per_word;
                    let at = (line * 16 + row % 16) * 4 + column % per_word * size;
                    seen[at..at + size].copy_from_slice(&stored[(row * columns + column) * size..][..size]);
                }
                prop_assert!(bytes == seen, "{isa:?}");
                prop_assert_eq!(bytes.as_ptr() as usize % 64, 0);
            }
        }

        #[test]
        fn a_row_widens_exactly(rows in 1usize..40, columns in 1usize..40, row in 0usize..40) {
            let row = row % rows;
            for element in [Element::Bf16, Element::F16, Element::F32] {
                let stored = stored(element, rows, columns);
                let panels = pack(Isa::Plain, element, rows, columns, &stored);
                let mut widened = vec![0.0; columns];
                panels.widen_row(row, &mut widened);
                for (column, value) in widened.into_iter().enumerate() {
                    let bytes = &stored[(row * columns + column) * element.bytes()..];
                    let expected = match element {
                        Element::Bf16 => bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
                        Element::F16 => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
                        Element::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                    };
                    prop_assert!(value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan());
                }
            }
        }
    }

    #[test]
    fn what_reading_fails_with_comes_back() {
        let error =
            Panels::pack(Isa::Plain, Element::F32, 160, 3, |index, _| if index == 7 { Err("7") } else { Ok(()) });
        assert!(matches!(error, Err(Error::Read("7"))));
    }
}
