//! Linear layers whose weights may stay in bf16 while the arithmetic is f32.
//!
//! Checkpoints are stored in bf16, and every bf16 value is an f32 value: widening on the way into each product gives
//! the very numbers of a model widened at load, at half the memory. Long inputs widen a block of rows at a time for
//! candle's matrix product; a single position (a decode step) reads the weights once, straight from bf16.

mod rows;

use candle_core::{D, DType, Result, Tensor};

/// Positions up to which weights are read row by row; above it, widening blocks pays off.
const MAX_ROWWISE_POSITIONS: usize = 4;

/// Weight rows that are widened at a time: a few tens of megabytes at the widths of this family.
pub(crate) const BLOCK_ROWS: usize = 1024;

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[out, in]`, in the arithmetic's dtype or narrower.
    weight: Tensor,
    /// `[out]`, in the arithmetic's dtype.
    bias: Option<Tensor>,
}

impl Linear {
    pub(crate) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[out, in]`
    pub(crate) fn weight(&self) -> &Tensor {
        &self.weight
    }

    pub(crate) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// `[..., in]` -> `[..., out]`
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let product = match self.weight.dtype() == x.dtype() {
            true => candle_nn::Module::forward(&candle_nn::Linear::new(self.weight.clone(), None), x)?,
            false => self.widening_product(x)?,
        };
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }

    fn widening_product(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = self.weight.dims2()?;
        let positions = x.elem_count() / width;
        let flat = x.reshape((positions, width))?.contiguous()?;
        let rowwise = positions <= MAX_ROWWISE_POSITIONS && x.dtype() == DType::F32 && x.device().is_cpu();
        let product = if rowwise && self.weight.dtype() == DType::BF16 {
            flat.apply_op2_no_bwd(&self.weight, &rows::Product)?
        } else {
            let block = |first: usize| {
                let weight = self.weight.narrow(0, first, BLOCK_ROWS.min(rows - first))?.to_dtype(x.dtype())?;
                flat.matmul(&weight.t()?)
            };
            let blocks = (0..rows).step_by(BLOCK_ROWS).map(block).collect::<Result<Vec<_>>>()?;
            Tensor::cat(&blocks, D::Minus1)?
        };
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = rows;
        }
        product.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn bf16_weights_give_what_widened_ones_give() -> Result<()> {
        let device = Device::Cpu;
        for (rows, width) in [(1, 1), (5, 7), (64, 96), (1030, 33), (2050, 130)] {
            let weight = Tensor::randn(0f32, 1.0, (rows, width), &device)?.to_dtype(DType::BF16)?;
            let bias = Tensor::randn(0f32, 1.0, rows, &device)?;
            let narrow = Linear::new(weight.clone(), Some(bias.clone()));
            let wide = Linear::new(weight.to_dtype(DType::F32)?, Some(bias));
            for positions in [1, 2, 4, 5, 70] {
                let x = Tensor::randn(0f32, 1.0, (1, positions, width), &device)?;
                let (got, expected) = (narrow.forward(&x)?, wide.forward(&x)?);
                assert_eq!(got.dims(), [1, positions, rows]);
                let difference = (got - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{rows}x{width}, {positions} positions: {difference}");
            }
        }
        Ok(())
    }
}
