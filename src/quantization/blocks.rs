//! A matrix in ggml's blocks, row by row, as files and GPUs take it: quantized by rows in parallel.
//!
//! candle's quantizer is not used: it is older than ggml's, leaves larger errors in q4_k and q5_k, and makes zeros of
//! equal values (`encode`). Products are the kernels' (`kernels::quant`), which read blocks in panels of their own.

use std::ops::Range;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4K, BlockQ5K, BlockQ6K, BlockQ8_0};
use rayon::prelude::*;

use super::encode::encode;
use super::format::Format;
use crate::pages::prefer_huge_pages;

/// Weights that one task of a conversion handles, enough to outweigh handing it out.
const TASK_VALUES: usize = 1 << 15;

/// `[rows, columns]` in blocks along the columns.
pub(crate) struct Blocks {
    rows: usize,
    columns: usize,
    data: Data,
}

enum Data {
    Q8_0(Vec<BlockQ8_0>),
    Q6K(Vec<BlockQ6K>),
    Q5K(Vec<BlockQ5K>),
    Q4K(Vec<BlockQ4K>),
}

/// Runs `$body` with `$blocks` bound to the typed blocks.
macro_rules! typed {
    ($data:expr, $blocks:ident => $body:expr) => {
        match $data {
            Data::Q8_0($blocks) => $body,
            Data::Q6K($blocks) => $body,
            Data::Q5K($blocks) => $body,
            Data::Q4K($blocks) => $body,
        }
    };
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks[{}, {}; {}]", self.rows, self.columns, self.format().name())
    }
}

impl Blocks {
    /// A matrix of zeros, to be filled; `None` for a format that is not in blocks, or rows that it cannot hold.
    pub(crate) fn zeros(format: Format, rows: usize, columns: usize) -> Option<Self> {
        fn zeros<T: GgmlType>(values: usize) -> Vec<T> {
            let count = values / T::BLCK_SIZE;
            let mut blocks = Vec::<T>::with_capacity(count);
            prefer_huge_pages(blocks.spare_capacity_mut());
            blocks.resize(count, T::zeros());
            blocks
        }
        let values = rows * columns;
        let data = match format {
            _ if !format.holds(columns) => return None,
            Format::Q8_0 => Data::Q8_0(zeros(values)),
            Format::Q6K => Data::Q6K(zeros(values)),
            Format::Q5K => Data::Q5K(zeros(values)),
            Format::Q4K => Data::Q4K(zeros(values)),
            Format::Float(_) => return None,
        };
        Some(Self { rows, columns, data })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn format(&self) -> Format {
        match self.data {
            Data::Q8_0(_) => Format::Q8_0,
            Data::Q6K(_) => Format::Q6K,
            Data::Q5K(_) => Format::Q5K,
            Data::Q4K(_) => Format::Q4K,
        }
    }

    /// The blocks as GGUF stores them.
    pub(crate) fn bytes(&self) -> &[u8] {
        typed!(&self.data, blocks => {
            // SAFETY: blocks are `repr(C)` structs of integers and f16 without padding (candle asserts their sizes).
            unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), std::mem::size_of_val(blocks.as_slice())) }
        })
    }

    /// The same bytes, to be read into.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        typed!(&mut self.data, blocks => {
            let len = std::mem::size_of_val(blocks.as_slice());
            // SAFETY: as above; every pattern of bits is a valid block.
            unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), len) }
        })
    }

    /// Quantizes `rows`, on all threads. `read` puts the values of whole rows, from the given one on, into a buffer.
    ///
    /// # Errors
    /// The first of `read`.
    pub(crate) fn quantize_rows<E: Send>(
        &mut self,
        rows: Range<usize>,
        read: impl Fn(usize, &mut [f32]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let (format, columns) = (self.format(), self.columns);
        let row_bytes = format.bytes(columns);
        let rows_per_task = TASK_VALUES.div_ceil(columns);
        let bytes = &mut self.bytes_mut()[rows.start * row_bytes..rows.end * row_bytes];
        let tasks = bytes.par_chunks_mut(rows_per_task * row_bytes).enumerate();
        tasks.try_for_each_init(Vec::new, |values, (task, blocks)| {
            values.resize(blocks.len() / row_bytes * columns, 0.0);
            read(rows.start + task * rows_per_task, values)?;
            encode(format, values, blocks);
            Ok(())
        })
    }

    /// The values of some rows, by candle.
    #[cfg(test)]
    pub(crate) fn widen(&self, rows: Range<usize>) -> Vec<f32> {
        fn widen<T: GgmlType>(blocks: &[T], columns: usize, out: &mut [f32]) {
            let rows_per_task = TASK_VALUES.div_ceil(columns);
            let row_blocks = columns / T::BLCK_SIZE;
            let tasks = out.par_chunks_mut(rows_per_task * columns).zip(blocks.par_chunks(rows_per_task * row_blocks));
            tasks.for_each(|(out, blocks)| T::to_float(blocks, out));
        }
        let mut out = vec![0f32; rows.len() * self.columns];
        typed!(&self.data, blocks => {
            let row_blocks = blocks.len() / self.rows.max(1);
            widen(&blocks[rows.start * row_blocks..rows.end * row_blocks], self.columns, &mut out);
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    const FORMATS: [Format; 4] = [Format::Q8_0, Format::Q6K, Format::Q5K, Format::Q4K];

    fn random(rows: usize, columns: usize) -> Vec<f32> {
        let tensor = Tensor::randn(0f32, 0.02, rows * columns, &Device::Cpu).expect("random values");
        tensor.to_vec1().expect("a vector")
    }

    fn quantized(format: Format, rows: usize, columns: usize, values: &[f32]) -> Blocks {
        let mut blocks = Blocks::zeros(format, rows, columns).expect("rows that fit");
        fill(&mut blocks, 0..rows, values);
        blocks
    }

    /// Quantizes rows of `values`, which are those of all rows.
    fn fill(blocks: &mut Blocks, rows: Range<usize>, values: &[f32]) {
        let columns = blocks.columns();
        let read = |row: usize, out: &mut [f32]| {
            out.copy_from_slice(&values[row * columns..][..out.len()]);
            Ok::<(), std::convert::Infallible>(())
        };
        blocks.quantize_rows(rows, read).expect("nothing fails");
    }

    #[test]
    fn rows_in_parallel_give_the_bytes_of_one_after_the_other() {
        for format in FORMATS {
            let (rows, columns) = (300, 512);
            let values = random(rows, columns);
            let mut blocks = Blocks::zeros(format, rows, columns).expect("rows that fit");
            fill(&mut blocks, 0..101, &values);
            fill(&mut blocks, 101..rows, &values);
            let mut in_order = vec![0; blocks.bytes().len()];
            let row_bytes = format.bytes(columns);
            for (values, bytes) in values.chunks(columns).zip(in_order.chunks_mut(row_bytes)) {
                encode(format, values, bytes);
            }
            assert_eq!(blocks.bytes(), in_order, "{}", format.name());
            let mut copy = Blocks::zeros(format, rows, columns).expect("rows that fit");
            copy.bytes_mut().copy_from_slice(blocks.bytes());
            assert_eq!(copy.widen(7..9), blocks.widen(7..9));
            let failing = blocks.quantize_rows(0..rows, |row, _| if row > 200 { Err(row) } else { Ok(()) });
            assert!(failing.is_err_and(|row| row > 200), "a failing read is an error");
        }
    }

    #[test]
    fn errors_stay_within_the_bits_of_the_format() {
        // Relative root mean square errors of normal values: about 2^-bits, and measured once.
        for (format, bound) in [(Format::Q8_0, 0.006), (Format::Q6K, 0.02), (Format::Q5K, 0.04), (Format::Q4K, 0.08)] {
            let values = random(256, 256);
            let widened = quantized(format, 256, 256, &values).widen(0..256);
            let square = |error: f32| f64::from(error).powi(2);
            let error: f64 = values.iter().zip(&widened).map(|(a, b)| square(a - b)).sum();
            let relative = (error / values.iter().map(|&a| square(a)).sum::<f64>()).sqrt();
            assert!(relative < bound && relative > bound / 10.0, "{}: {relative}", format.name());
        }
    }

    #[test]
    fn rows_that_do_not_divide_are_refused() {
        assert!(Blocks::zeros(Format::Q4K, 4, 896).is_none());
        assert!(Blocks::zeros(Format::Q8_0, 4, 896).is_some());
        assert!(Blocks::zeros(Format::Float(candle_core::DType::F32), 4, 256).is_none());
    }
}
