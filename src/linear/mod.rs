//! Linear layers, alone and joined, with what follows them: the same to the model on every device.
//!
//! On the CPU weights lie in panels as they are stored, in floats or in blocks of few bits, and the kernels widen them
//! on the way into each product (`kernels`). What the operands are rounded to is the placement's: not at all under f32
//! arithmetic. On GPUs products are candle's, and those of 16-bit floats add the bias, too (`stacked`).
//!
//! Before quantized weights, positions are rounded to 8 bits in blocks and multiplied in integers, as llama.cpp does,
//! unless the arithmetic is exact. Prefill through a matrix unit rounds positions and weights to bf16 instead. Which
//! way is taken follows the stage, never the number of positions: a prompt whose end alone is computed, the rest being
//! in the KV cache, must give what the whole prompt gives.

mod joined;
mod matrix;
mod packed;
mod stacked;
#[cfg(test)]
mod tests;

use candle_core::{D, DType, Result, Tensor};

pub(crate) use joined::{Gated, Joint};
pub(crate) use matrix::{Matrix, Use};
use matrix::{Storage, gpu_product};
use packed::Packed;
pub(crate) use stacked::{bias_columns, biases_are_columns, columns_with_bias};
use stacked::{continued, stacked};

use crate::checkpoint::{Error, Weights};
use crate::device::Placement;
use crate::host;
use crate::kernels::product::{Epilogue, Then as KernelThen};

/// The stage that a product belongs to, which decides how quantized weights are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Prefill, and frames in the tower.
    Prefill,
    /// A decode step.
    Step,
}

/// What follows a product and its bias.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then<'t> {
    Nothing,
    /// The approximation of GELU by the hyperbolic tangent.
    GeluTanh,
    /// GELU by the error function.
    GeluErf,
    /// The sum with a tensor of the same shape.
    Add(&'t Tensor),
}

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Matrix,
    /// `[out]`, in the arithmetic's dtype, to be added to the product.
    bias: Option<Tensor>,
    /// What operands go on with where the weight has the bias as a further column.
    continuation: Option<Tensor>,
}

impl Linear {
    pub(crate) fn new(weight: Matrix, bias: Option<Tensor>) -> Self {
        Self { weight, bias, continuation: None }
    }

    /// Loads `{name}.weight`, and `{name}.bias` if it is biased.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        is_biased: bool,
        placement: &Placement,
    ) -> std::result::Result<Self, Error> {
        if is_biased
            && bias_columns(weights, name, placement) > 0
            && let Some(layer) = stacked(weights, &[name.to_owned()], true, placement)?
        {
            return Ok(layer);
        }
        let weight = Matrix::load(weights, &format!("{name}.weight"), usize::MAX, Use::Product, placement)?;
        let bias = || weights.load(&format!("{name}.bias"), Some(placement.dtype), &placement.device);
        Ok(Self::new(weight, is_biased.then(bias).transpose()?))
    }

    /// Whether a decode step's positions come out otherwise than by prefill, beyond the last bits.
    pub(crate) fn steps_differ(&self) -> bool {
        match self.weight.storage() {
            Storage::Packed(packed) => packed.steps_differ(),
            Storage::Gpu(_) => true,
            Storage::Floats(_) => false,
        }
    }

    /// Whether the CPU multiplies bytes in this stage.
    pub(crate) fn multiplies_bytes(&self, pass: Pass) -> bool {
        matches!(self.weight.storage(), Storage::Packed(packed) if packed.multiplies_bytes(pass))
    }

    /// `[..., in]` -> `[..., out]`
    pub(crate) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.forward_then(x, pass, Then::Nothing)
    }

    /// `[..., in]` -> `[..., out]`, with what follows done on the way.
    pub(crate) fn forward_then(&self, x: &Tensor, pass: Pass, then: Then<'_>) -> Result<Tensor> {
        match self.weight.storage() {
            Storage::Packed(packed) => self.packed(packed, x, pass, then),
            Storage::Floats(_) | Storage::Gpu(_) => after(self.plain(x)?, self.bias.as_ref(), then),
        }
    }

    /// By the CPU's kernels.
    fn packed(&self, packed: &Packed, x: &Tensor, pass: Pass, then: Then<'_>) -> Result<Tensor> {
        let placement = packed.placement();
        let multiply = |bias: Option<&[f32]>, then: KernelThen<'_>| {
            // What an activation gives goes into a product next.
            let is_operand = matches!(then, KernelThen::GeluTanh | KernelThen::GeluErf);
            let dtype = if is_operand { placement.operand_dtype() } else { DType::F32 };
            packed.product(x, pass, &Epilogue { bias, then }, packed.rows(), dtype)
        };
        let with_bias = |then: KernelThen<'_>| match &self.bias {
            Some(bias) => host::floats(&bias.to_dtype(DType::F32)?, |bias| multiply(Some(bias), then)),
            None => multiply(None, then),
        };
        if !placement.uses_kernels() {
            // Blocks under candle's own arithmetic.
            return after(with_bias(KernelThen::Nothing)?.to_dtype(placement.dtype)?, None, then);
        }
        match then {
            // A head may have fewer rows than the table that it shares.
            Then::Nothing => with_bias(KernelThen::Nothing)?.narrow(D::Minus1, 0, self.weight.rows()),
            Then::GeluTanh => with_bias(KernelThen::GeluTanh),
            Then::GeluErf => with_bias(KernelThen::GeluErf),
            Then::Add(other) => host::floats(other, |other| with_bias(KernelThen::Add(other))),
        }
    }

    /// By candle, with the bias where the weight has it as a column.
    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        match self.weight.storage() {
            Storage::Gpu(tensor) => {
                let mut shape = x.dims().to_vec();
                let width = shape.pop().unwrap_or(1);
                let flat = x.reshape((x.elem_count() / width, width))?.contiguous()?;
                shape.push(self.weight.rows());
                gpu_product(tensor, self.weight.rows(), &flat)?.reshape(shape)
            }
            _ => {
                let Some(floats) = self.weight.floats() else {
                    candle_core::bail!("weights in panels are not candle's")
                };
                let product = |x: &Tensor| candle_nn::Module::forward(&candle_nn::Linear::new(floats?, None), x);
                match &self.continuation {
                    Some(continuation) => product(&continued(x, continuation)?),
                    None => product(x),
                }
            }
        }
    }
}

/// A layer of zeros in bf16, `[rows, columns]`, to measure products with.
///
/// # Errors
/// No memory, or a failing device.
pub(crate) fn of_zeros(rows: usize, columns: usize, placement: &Placement) -> Result<Linear> {
    let weight = match placement.uses_kernels() {
        true => Matrix::of_packed(Packed::of_zeros(rows, columns, placement)?),
        false => Matrix::of_floats(Tensor::zeros((rows, columns), placement.dtype, &placement.device)?),
    };
    Ok(Linear::new(weight, None))
}

/// The bias, and what follows it, by candle. Several steps are computed in f32 and rounded once: GELU itself rounds in
/// between to the tensor's dtype, of which bf16 would lose most of the small values.
fn after(product: Tensor, bias: Option<&Tensor>, then: Then<'_>) -> Result<Tensor> {
    let dtype = product.dtype();
    match (bias, then) {
        (None, Then::Nothing) => return Ok(product),
        (Some(bias), Then::Nothing) => return product.broadcast_add(bias),
        (None, Then::Add(other)) => return other + product,
        _ => {}
    }
    let mut wide = product.to_dtype(DType::F32)?;
    drop(product);
    if let Some(bias) = bias {
        wide = wide.broadcast_add(&bias.to_dtype(DType::F32)?)?;
    }
    wide = match then {
        Then::Nothing => wide,
        // `Tensor::gelu` is the approximation.
        Then::GeluTanh => wide.gelu()?,
        Then::GeluErf => wide.gelu_erf()?,
        Then::Add(other) => (other.to_dtype(DType::F32)? + wide)?,
    };
    wide.to_dtype(dtype)
}
