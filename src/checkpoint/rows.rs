//! The rows of a matrix in the format in which it is held: as they are stored, or quantized on the way.

use candle_core::Result;

use super::bulk::{self, Data};
use crate::interrupt::Interrupt;
use crate::quantization::{Format, encode};

/// The rows of one matrix.
#[derive(Debug)]
pub(crate) struct HeldRows<'w> {
    pub(super) data: &'w Data,
    /// Where the first row starts.
    pub(super) start: u64,
    pub(super) stored: Format,
    pub(super) held: Format,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) interrupt: &'w Interrupt,
}

impl HeldRows<'_> {
    /// In what its values are held.
    pub(crate) fn format(&self) -> Format {
        self.held
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of a row as it is held.
    pub(crate) fn row_bytes(&self) -> usize {
        self.held.bytes(self.columns)
    }

    /// Fills `bytes` with the rows from `first` on, on the calling thread.
    ///
    /// # Errors
    /// A file that cannot be read or ends too early, values that are not finite where they are quantized, an interrupt.
    pub(crate) fn read(&self, first: usize, bytes: &mut [u8]) -> Result<()> {
        self.interrupt.check().map_err(candle_core::Error::wrap)?;
        let start = self.start + (first * self.stored.bytes(self.columns)) as u64;
        let Some(dtype) = self.stored.float().filter(|_| self.held != self.stored) else {
            return Ok(self.data.read_exact_at(bytes, start)?);
        };
        let mut values = vec![0f32; bytes.len() / self.row_bytes() * self.columns];
        bulk::read_floats(self.data, start, dtype, &mut values)?;
        if !values.iter().all(|value| value.is_finite()) {
            candle_core::bail!("it holds values that are not finite numbers");
        }
        encode(self.held, &values, bytes);
        Ok(())
    }
}
