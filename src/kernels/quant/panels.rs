//! A matrix in panels of 16 rows of ggml's blocks: made once from rows as files have them, with the same values.

use std::sync::{Mutex, PoisonError};

use half::f16;
use memmap2::MmapMut;

use super::format::{Format, LINE_BYTES};
use super::plain;
use crate::kernels::panels::{Error, PANEL_ROWS};
use crate::kernels::pool;
use crate::pages::prefer_huge_pages;

/// `[rows, columns]` in a quantized format, 64-byte aligned.
#[derive(Debug)]
pub(crate) struct QuantPanels {
    format: Format,
    rows: usize,
    columns: usize,
    memory: MmapMut,
}

impl QuantPanels {
    /// A matrix whose rows `read` gives: it is called once for each panel, on any thread, with the panel's index and room
    /// for its 16 rows as ggml stores them, zero before; rows that there are not stay zero.
    ///
    /// # Errors
    /// No memory, or what `read` returns.
    ///
    /// # Panics
    /// Unless the columns divide into the format's blocks.
    pub(crate) fn pack<E: Send>(
        format: Format,
        rows: usize,
        columns: usize,
        read: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync,
    ) -> Result<Self, Error<E>> {
        assert!(
            columns > 0 && columns.is_multiple_of(format.block().0),
            "{columns} columns are no blocks of {format:?}"
        );
        let (panels, panel_bytes) = (rows.div_ceil(PANEL_ROWS), format.panel_bytes(columns));
        let bytes = panels * panel_bytes;
        // An empty mapping is an error to some systems.
        let memory = MmapMut::map_anon(bytes.max(1));
        let mut memory = memory.map_err(|source| Error::Memory { bytes, source })?;
        prefer_huge_pages(&mut memory[..]);
        let places: Vec<_> = memory[..bytes].chunks_exact_mut(panel_bytes).map(Mutex::new).collect();
        let failed = Mutex::new(None);
        pool::run(panels, |panel| {
            let mut place = places[panel].lock().unwrap_or_else(PoisonError::into_inner);
            let mut given = vec![0; PANEL_ROWS * format.row_bytes(columns)];
            match read(panel, &mut given) {
                Ok(()) => interleave(format, columns, &given, &mut place),
                Err(error) => {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        });
        drop(places);
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(Error::Read(error)),
            None => Ok(Self { format, rows, columns, memory }),
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
    pub(crate) fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// The bytes of one panel.
    pub(super) fn panel(&self, index: usize) -> &[u8] {
        let bytes = self.format.panel_bytes(self.columns);
        &self.memory[index * bytes..][..bytes]
    }

    /// The values of one row, the very ones that the format defines.
    pub(crate) fn widen_row(&self, row: usize, values: &mut [f32]) {
        assert!(row < self.rows && values.len() == self.columns, "row {row}, {} values", values.len());
        plain::widen_row(self.format, self.panel(row / PANEL_ROWS), row % PANEL_ROWS, values);
    }
}

/// A panel of 16 rows.
fn interleave(format: Format, columns: usize, rows: &[u8], panel: &mut [u8]) {
    let row_bytes = format.row_bytes(columns);
    let (block_columns, block_lines) = format.panel_block();
    let blocks = panel.chunks_mut(block_lines * LINE_BYTES).zip((0..columns).step_by(block_columns));
    for (place, first_column) in blocks {
        let row = |row: usize| &rows[row * row_bytes..][..row_bytes][format.row_bytes(first_column)..];
        if format == Format::Q8_0 {
            interleave_q8_0(row, place);
            continue;
        }
        for moved in format.moves() {
            let lines = place[moved.to_line * LINE_BYTES..].chunks_exact_mut(LINE_BYTES).take(moved.count);
            for (word, line) in lines.enumerate() {
                for (lane, place) in line.chunks_exact_mut(4).enumerate() {
                    place.copy_from_slice(&row(lane)[moved.from_byte + word * 4..][..4]);
                }
            }
        }
        if format == Format::Q6K {
            for (lane, place) in place[..LINE_BYTES].chunks_exact_mut(4).enumerate() {
                place[..2].copy_from_slice(&row(lane)[208..210]);
            }
        }
    }
}

/// Two blocks of q8_0, or the last one: the scales of both in a line, then the bytes.
fn interleave_q8_0<'a>(row: impl Fn(usize) -> &'a [u8], place: &mut [u8]) {
    const BLOCK: usize = size_of::<f16>() + 32;
    let (scales, values) = place.split_at_mut(LINE_BYTES);
    for (block, lines) in values.chunks_exact_mut(8 * LINE_BYTES).enumerate() {
        for lane in 0..PANEL_ROWS {
            let (scale, bytes) = row(lane)[block * BLOCK..][..BLOCK].split_at(size_of::<f16>());
            scales[lane * 4 + block * 2..][..2].copy_from_slice(scale);
            for (quad, bytes) in bytes.chunks_exact(4).enumerate() {
                lines[quad * LINE_BYTES + lane * 4..][..4].copy_from_slice(bytes);
            }
        }
    }
}
