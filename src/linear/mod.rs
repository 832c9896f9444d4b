//! Linear layers whose weights may be held in 16-bit floats or in blocks of few bits while the arithmetic is f32.
//!
//! Checkpoints are stored in bf16 or f16, and every value of those is an f32 value: widening on the way into each
//! product gives the very numbers of a model widened at load, at half the memory. Prefill and the tower widen a block
//! of rows at a time for candle's matrix product; a decode step reads the weights once, as they are.
//!
//! Quantized weights on the CPU go the same two ways. Long inputs widen blocks of rows to f32 and leave the input as it
//! is; a decode step's position is rounded to 8 bits in blocks and multiplied in integers, as llama.cpp does, since a
//! decode step is bound by the bytes of the weights. On GPUs candle's kernels choose, by the number of positions.
//!
//! Which way is taken follows the stage, never the number of positions: a prompt whose end alone is computed, the rest
//! being in the KV cache, must give what the whole prompt gives. What remains is the order in which candle's matrix
//! product sums, which depends on the shapes: the last bits of an f32 may differ.

mod matrix;
mod rows;

use candle_core::{D, DType, Result, Tensor};

use matrix::{BlockProduct, Storage, gpu_product};
pub(crate) use matrix::{Matrix, Use};

/// The stage that a product belongs to, which decides how weights that are held narrower than the arithmetic are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Prefill, and frames in the tower: rows of weights are widened in blocks, which many positions share. Widening
    /// costs about as much processor time as eight products in integers (0.6 to 1.4 against 0.1 to 0.2 ns a weight,
    /// measured on a busy machine).
    Prefill,
    /// A decode step: weights are read row by row, as they are.
    Step,
}

/// Weight rows that are widened at a time: a few tens of megabytes at the widths of this family.
pub(crate) const BLOCK_ROWS: usize = 1024;

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[out, in]`, in the arithmetic's dtype or narrower.
    weight: Matrix,
    /// `[out]`, in the arithmetic's dtype.
    bias: Option<Tensor>,
}

impl Linear {
    pub(crate) fn new(weight: Matrix, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// Whether a decode step's positions come out otherwise than by prefill, beyond the last bits: quantized weights.
    pub(crate) fn steps_differ(&self) -> bool {
        matches!(self.weight.storage(), Storage::Blocks(_) | Storage::Gpu(_))
    }

    /// `[..., in]` -> `[..., out]`
    pub(crate) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let floats = self.weight.floats().transpose()?;
        let product = match floats.filter(|floats| floats.dtype() == x.dtype()) {
            Some(floats) => candle_nn::Module::forward(&candle_nn::Linear::new(floats, None), x)?,
            None => self.widening_product(x, pass)?,
        };
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }

    fn widening_product(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let (rows, width) = (self.weight.rows(), self.weight.columns()?);
        let positions = x.elem_count() / width;
        let flat = x.reshape((positions, width))?.contiguous()?;
        let rowwise = pass == Pass::Step && x.dtype() == DType::F32 && x.device().is_cpu();
        let product = match self.weight.storage() {
            Storage::Floats(weight) if is_16_bit(weight) && rowwise => {
                flat.apply_op2_no_bwd(&weight.narrow(0, 0, rows)?, &rows::Product)?
            }
            Storage::Blocks(blocks) if rowwise => flat.apply_op1_no_bwd(&BlockProduct { blocks, rows })?,
            Storage::Gpu(tensor) => gpu_product(tensor, rows, &flat)?,
            Storage::Floats(_) | Storage::Blocks(_) => {
                let block = |first: usize| {
                    let weight = self.weight.widened(first, BLOCK_ROWS.min(rows - first), x.dtype())?;
                    flat.matmul(&weight.t()?)
                };
                let blocks = (0..rows).step_by(BLOCK_ROWS).map(block).collect::<Result<Vec<_>>>()?;
                Tensor::cat(&blocks, D::Minus1)?
            }
        };
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = rows;
        }
        product.reshape(shape)
    }
}

fn is_16_bit(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::BF16 | DType::F16)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::quantization::Format;
    use crate::quantization::blocks::Blocks;

    #[test]
    fn narrow_weights_give_what_widened_ones_give() -> Result<()> {
        let device = Device::Cpu;
        let shapes = [(1, 1), (5, 7), (64, 96), (1030, 33), (2050, 130)];
        for ((rows, width), dtype) in shapes.into_iter().flat_map(|s| [(s, DType::BF16), (s, DType::F16)]) {
            let weight = Tensor::randn(0f32, 1.0, (rows, width), &device)?.to_dtype(dtype)?;
            let bias = Tensor::randn(0f32, 1.0, rows, &device)?;
            let narrow = Linear::new(Matrix::of_floats(weight.clone()), Some(bias.clone()));
            let wide = Linear::new(Matrix::of_floats(weight.to_dtype(DType::F32)?), Some(bias));
            for positions in [1, 2, 4, 5, 70] {
                let x = Tensor::randn(0f32, 1.0, (1, positions, width), &device)?;
                for pass in [Pass::Prefill, Pass::Step] {
                    let (got, expected) = (narrow.forward(&x, pass)?, wide.forward(&x, pass)?);
                    assert_eq!(got.dims(), [1, positions, rows]);
                    let difference = largest_difference(&got, &expected)?;
                    assert!(difference < 1e-4, "{dtype:?} {rows}x{width}, {positions} {pass:?}: {difference}");
                }
            }
        }
        Ok(())
    }
    /// What a decode step rounds differently shows in the third digit, so a prompt's last positions must not go its way
    /// however few they are.
    #[test]
    fn a_few_positions_of_prefill_are_computed_as_many_are() -> Result<()> {
        let (rows, width) = (1030, 256);
        for format in [Format::Q8_0, Format::Q4K] {
            let values = Tensor::randn(0f32, 1.0, rows * width, &Device::Cpu)?.to_vec1::<f32>()?;
            let mut blocks = Blocks::zeros(format, rows, width).expect("rows that fit");
            let read = |row: usize, out: &mut [f32]| {
                out.copy_from_slice(&values[row * width..][..out.len()]);
                Ok::<(), std::convert::Infallible>(())
            };
            blocks.quantize_rows(0..rows, read).expect("nothing fails");
            let linear = Linear::new(Matrix::of_blocks(blocks), None);
            let x = Tensor::randn(0f32, 1.0, (20, width), &Device::Cpu)?;
            let many = linear.forward(&x, Pass::Prefill)?;
            for positions in [1, 2, 4, 5, 8, 9] {
                let last = |x: &Tensor| x.narrow(0, 20 - positions, positions);
                let few = linear.forward(&last(&x)?, Pass::Prefill)?;
                let difference = largest_difference(&few, &last(&many)?)?;
                assert!(difference < 1e-4, "{}, {positions} positions: {difference}", format.name());
            }
            let step = linear.forward(&x, Pass::Step)?;
            assert!(largest_difference(&step, &many)? > 1e-2, "{}: this test compares nothing", format.name());
        }
        Ok(())
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
        (a - b)?.abs()?.max_all()?.to_scalar()
    }
}
