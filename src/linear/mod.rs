//! Linear layers whose weights may be held in 16-bit floats or in blocks of few bits while the arithmetic is f32.
//!
//! Checkpoints are stored in bf16 or f16, and every value of those is an f32 value: widening on the way into each
//! product gives the very numbers of a model widened at load, at half the memory. Long inputs widen a block of rows at
//! a time for candle's matrix product; a single position (a decode step) reads the weights once, as they are.
//!
//! Quantized weights on the CPU go the same two ways. Long inputs widen blocks of rows to f32 and leave the input as it
//! is; a few positions are rounded to 8 bits in blocks and multiplied in integers, as llama.cpp does, since a decode
//! step is bound by the bytes of the weights. On GPUs candle's kernels choose.

mod matrix;
mod rows;

use candle_core::{D, DType, Result, Tensor};

use matrix::{BlockProduct, Storage, gpu_product};
pub(crate) use matrix::{Matrix, Use};

/// Positions up to which weights are read row by row; above it, widening blocks pays off.
const MAX_ROWWISE_POSITIONS: usize = 4;

/// The same for weights in blocks. Widening costs about as much processor time as eight products in integers (0.6 to
/// 1.4 against 0.1 to 0.2 ns a weight, measured on a busy machine).
const MAX_BLOCKWISE_POSITIONS: usize = 8;

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

    /// `[..., in]` -> `[..., out]`
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let floats = self.weight.floats().transpose()?;
        let product = match floats.filter(|floats| floats.dtype() == x.dtype()) {
            Some(floats) => candle_nn::Module::forward(&candle_nn::Linear::new(floats, None), x)?,
            None => self.widening_product(x)?,
        };
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }

    fn widening_product(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = (self.weight.rows(), self.weight.columns()?);
        let positions = x.elem_count() / width;
        let flat = x.reshape((positions, width))?.contiguous()?;
        let few = |most: usize| positions <= most && x.dtype() == DType::F32 && x.device().is_cpu();
        let product = match self.weight.storage() {
            Storage::Floats(weight) if is_16_bit(weight) && few(MAX_ROWWISE_POSITIONS) => {
                flat.apply_op2_no_bwd(&weight.narrow(0, 0, rows)?, &rows::Product)?
            }
            Storage::Blocks(blocks) if few(MAX_BLOCKWISE_POSITIONS) => {
                flat.apply_op1_no_bwd(&BlockProduct { blocks, rows })?
            }
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
                let (got, expected) = (narrow.forward(&x)?, wide.forward(&x)?);
                assert_eq!(got.dims(), [1, positions, rows]);
                let difference = (got - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{dtype:?} {rows}x{width}, {positions} positions: {difference}");
            }
        }
        Ok(())
    }
}
