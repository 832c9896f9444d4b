//! A matrix in panels of 16 rows of ggml's blocks: made once from rows as files have them, with the same values.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use half::f16;
use memmap2::MmapMut;

use super::format::Format;
use super::plain;
use crate::kernels::isa::Isa;
use crate::kernels::panels::{Error, HUGE_PAGE_BYTES, PANEL_ROWS, transpose};
use crate::kernels::pool;
use crate::pages::prefer_huge_pages;

/// `[rows, columns]` in a quantized format, 64-byte aligned.
#[derive(Debug)]
pub(crate) struct QuantPanels {
    format: Format,
    rows: usize,
    columns: usize,
    memory: MmapMut,
    /// Where the panels begin in the memory: at a huge page.
    start: usize,
}

thread_local! {
    /// Rows as stored, and in words, while a thread packs.
    static STRIPES: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

impl QuantPanels {
    /// A matrix whose rows `read` gives: it is called once for each panel, on any thread, with the panel's index and
    /// room for its rows as ggml stores them, 16 or what the last panel has.
    ///
    /// # Errors
    /// No memory, or what `read` returns.
    ///
    /// # Panics
    /// Unless the columns divide into the format's blocks, and there are some of both.
    pub(crate) fn pack<E: Send>(
        isa: Isa,
        format: Format,
        rows: usize,
        columns: usize,
        read: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync,
    ) -> Result<Self, Error<E>> {
        assert!(rows > 0 && columns > 0, "a matrix of {rows} rows and {columns} columns");
        assert!(columns.is_multiple_of(format.block().0), "{columns} columns are no blocks of {format:?}");
        let panel_bytes = format.panel_bytes(columns);
        let bytes = rows.div_ceil(PANEL_ROWS) * panel_bytes;
        let mut memory =
            MmapMut::map_anon(bytes + HUGE_PAGE_BYTES).map_err(|source| Error::Memory { bytes, source })?;
        // What lies before the first huge page is never touched, so that it takes up no memory.
        let start = memory.as_ptr().align_offset(HUGE_PAGE_BYTES).min(HUGE_PAGE_BYTES);
        prefer_huge_pages(&mut memory[start..start + bytes]);
        let row_bytes = format.row_bytes(columns);
        // A lock for each panel, which nobody ever waits for, hands the parts of the memory out.
        let panels: Vec<_> = memory[start..start + bytes].chunks_exact_mut(panel_bytes).map(Mutex::new).collect();
        let failure = Mutex::new(None);
        let failed = AtomicBool::new(false);
        pool::run(panels.len(), |index| {
            if failed.load(Ordering::Relaxed) {
                return;
            }
            let (mut stored, mut words) = STRIPES.take();
            let present = (rows - index * PANEL_ROWS).min(PANEL_ROWS);
            stored.resize(present * row_bytes, 0);
            match read(index, &mut stored) {
                Ok(()) => {
                    let row_words = panel_bytes / PANEL_ROWS;
                    words.resize(panel_bytes, 0);
                    words[present * row_words..].fill(0);
                    for (stored, words) in stored.chunks_exact(row_bytes).zip(words.chunks_exact_mut(row_words)) {
                        in_words(format, stored, words);
                    }
                    let mut panel = panels[index].lock().unwrap_or_else(PoisonError::into_inner);
                    transpose(isa, &words, row_words, &mut panel);
                }
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
            STRIPES.set((stored, words));
        });
        drop(panels);
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(Error::Read(error)),
            None => Ok(Self { format, rows, columns, memory, start }),
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
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

    /// Bytes of memory.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.len() * self.format.panel_bytes(self.columns)
    }

    /// The bytes of one panel.
    pub(super) fn panel(&self, index: usize) -> &[u8] {
        let bytes = self.format.panel_bytes(self.columns);
        &self.memory[self.start + index * bytes..][..bytes]
    }

    /// The values of one row, the very ones that the format defines.
    pub(crate) fn widen_row(&self, row: usize, values: &mut [f32]) {
        assert!(row < self.rows && values.len() == self.columns, "row {row}, {} values", values.len());
        plain::widen_row(self.format, self.panel(row / PANEL_ROWS), row % PANEL_ROWS, values);
    }
}

/// Words of 16 rows in the order in which the formats' panels have them: blocks of ggml's with scales in words of their
/// own, where they are not in whole words as stored. `stored` and `words` are of whole rows.
fn in_words(format: Format, stored: &[u8], words: &mut [u8]) {
    const SCALE: usize = size_of::<f16>();
    match format {
        Format::Q4K | Format::Q5K => words.copy_from_slice(stored),
        Format::Q6K => {
            let (block, words_block) = (format.block().1, format.panel_block().1 * 4);
            for (block, words) in stored.chunks_exact(block).zip(words.chunks_exact_mut(words_block)) {
                let (bits, rest) = block.split_at(192);
                let (scales, scale) = rest.split_at(16);
                words[..SCALE].copy_from_slice(scale);
                words[SCALE..4].fill(0);
                words[4..20].copy_from_slice(scales);
                words[20..84].copy_from_slice(&bits[128..]);
                words[84..].copy_from_slice(&bits[..128]);
            }
        }
        Format::Q8_0 => {
            // The last may be one block alone.
            let (pair, words_pair) = (2 * format.block().1, format.panel_block().1 * 4);
            for (pair, words) in stored.chunks(pair).zip(words.chunks_mut(words_pair)) {
                let (scales, numbers) = words.split_at_mut(4);
                scales.fill(0);
                let scales = scales.chunks_exact_mut(SCALE);
                for ((block, scale), numbers) in
                    pair.chunks_exact(SCALE + 32).zip(scales).zip(numbers.chunks_exact_mut(32))
                {
                    scale.copy_from_slice(&block[..SCALE]);
                    numbers.copy_from_slice(&block[SCALE..]);
                }
            }
        }
    }
}
