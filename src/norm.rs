//! Layer norms and RMS norms: the CPU's kernels where they run, candle's elsewhere.

use candle_core::{DType, Result, Tensor};
use candle_nn::Module;

use crate::checkpoint::{Error, Weights};
use crate::device::Placement;
use crate::host;
use crate::kernels::norms;

/// A norm over the last dimension.
#[derive(Debug)]
pub(crate) struct Norm {
    kind: Kind,
    eps: f64,
    /// In the arithmetic's dtype.
    weight: Tensor,
    placement: Placement,
}

#[derive(Debug)]
enum Kind {
    /// With mean and bias.
    Layer {
        bias: Tensor,
    },
    Rms,
}

impl Norm {
    /// The layer norm of `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn layer(
        weights: &Weights,
        name: &str,
        eps: f64,
        placement: &Placement,
    ) -> std::result::Result<Self, Error> {
        let tensor = |part: &str| weights.load(&format!("{name}.{part}"), Some(placement.dtype), &placement.device);
        let kind = Kind::Layer { bias: tensor("bias")? };
        Ok(Self { kind, eps, weight: tensor("weight")?, placement: placement.clone() })
    }

    /// The RMS norm of `name`.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn rms(
        weights: &Weights,
        name: &str,
        eps: f64,
        placement: &Placement,
    ) -> std::result::Result<Self, Error> {
        let weight = weights.load(name, Some(placement.dtype), &placement.device)?;
        Ok(Self { kind: Kind::Rms, eps, weight, placement: placement.clone() })
    }

    /// `[..., width]` -> `[..., width]`, rounded as the products that follow take their operands.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Self { kind, eps, weight, placement } = self;
        if !placement.uses_kernels() {
            // candle's norms for GPUs compute in f32 and round once. Those for the CPU round in between, which f32 avoids.
            let dtype = if placement.is_gpu { placement.dtype } else { DType::F32 };
            let [x, weight] = [x, weight].map(|tensor| tensor.to_dtype(dtype));
            let normed = match kind {
                Kind::Layer { bias } => candle_nn::LayerNorm::new(weight?, bias.to_dtype(dtype)?, *eps).forward(&x?),
                Kind::Rms => candle_nn::RmsNorm::new(weight?, *eps).forward(&x?),
            };
            return normed?.to_dtype(placement.dtype);
        }
        let (isa, eps) = (placement.isa(), *eps as f32);
        let x = x.contiguous()?;
        host::written(x.shape(), placement.operand_dtype(), |out| {
            host::floats(&x, |x| {
                host::floats(weight, |weight| {
                    match kind {
                        Kind::Rms => norms::rms_norm(isa, x, weight, eps, out),
                        Kind::Layer { bias } => host::floats(bias, |bias| {
                            norms::layer_norm(isa, x, weight, bias, eps, out);
                            Ok(())
                        })?,
                    }
                    Ok(())
                })
            })
        })
    }
}
