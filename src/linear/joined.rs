//! Linear layers of one input computed as one product: queries, keys and values; gate and up.

use candle_core::{D, DType, Result, Tensor};

use super::packed::{Arrangement, Packed};
use super::stacked::{stacked, stacked_biases};
use super::{Linear, Matrix, Pass};
use crate::checkpoint::{Error, Weights};
use crate::device::Placement;
use crate::kernels::product::{Epilogue, Then as KernelThen};

/// Layers whose outputs follow each other.
#[derive(Debug)]
pub(crate) struct Joint {
    /// One, unless their weights are not held alike, or are in blocks on a GPU.
    parts: Vec<Linear>,
}

impl Joint {
    /// Loads the layers `names`, each with its bias.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn load(weights: &Weights, names: &[String], placement: &Placement) -> std::result::Result<Self, Error> {
        if placement.uses_kernels() {
            let matrices: Vec<String> = names.iter().map(|name| format!("{name}.weight")).collect();
            let packed = Packed::load(weights, &matrices, usize::MAX, Arrangement::Stacked, placement)?;
            if let Some(packed) = packed {
                let bias = stacked_biases(weights, names, placement)?;
                return Ok(Self { parts: vec![Linear::new(Matrix::of_packed(packed), Some(bias))] });
            }
        } else if let Some(stacked) = stacked(weights, names, true, placement)? {
            return Ok(Self { parts: vec![stacked] });
        }
        let part = |name: &String| Linear::load(weights, name, true, placement);
        Ok(Self { parts: names.iter().map(part).collect::<std::result::Result<_, _>>()? })
    }

    pub(crate) fn steps_differ(&self) -> bool {
        self.parts.iter().any(Linear::steps_differ)
    }

    /// `[..., in]` -> `[..., out]`, the outputs of all layers.
    pub(crate) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match self.parts.as_slice() {
            [joined] => joined.forward(x, pass),
            parts => {
                let parts = parts.iter().map(|part| part.forward(x, pass)).collect::<Result<Vec<_>>>()?;
                Tensor::cat(&parts, D::Minus1)
            }
        }
    }
}

/// The gated half of a feed-forward part: `silu(gate(x)) * up(x)`, without biases.
#[derive(Debug)]
pub(crate) struct Gated(Held);

#[derive(Debug)]
enum Held {
    /// Both in one matrix, for the CPU's kernels.
    Paired {
        packed: Packed,
        width: usize,
    },
    /// Both in one matrix of floats, gate first.
    Stacked {
        layer: Linear,
        width: usize,
    },
    Two {
        gate: Linear,
        up: Linear,
    },
}

impl Gated {
    /// Loads the layers `gate` and `up`.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn load(
        weights: &Weights,
        gate: &str,
        up: &str,
        placement: &Placement,
    ) -> std::result::Result<Self, Error> {
        let matrices = [gate, up].map(|name| format!("{name}.weight"));
        let width = weights.shape(&matrices[0]).and_then(|shape| shape.first().copied()).unwrap_or(0);
        if placement.uses_kernels() {
            if let Some(packed) = Packed::load(weights, &matrices, usize::MAX, Arrangement::Paired, placement)? {
                return Ok(Self(Held::Paired { packed, width }));
            }
        } else if let Some(layer) = stacked(weights, &[gate, up].map(str::to_owned), false, placement)? {
            return Ok(Self(Held::Stacked { layer, width }));
        }
        let part = |name| Linear::load(weights, name, false, placement);
        Ok(Self(Held::Two { gate: part(gate)?, up: part(up)? }))
    }

    pub(crate) fn steps_differ(&self) -> bool {
        match &self.0 {
            Held::Paired { packed, .. } => packed.steps_differ(),
            Held::Stacked { layer, .. } => layer.steps_differ(),
            Held::Two { gate, up } => gate.steps_differ() || up.steps_differ(),
        }
    }

    /// `[..., in]` -> `[..., out]`
    pub(crate) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match &self.0 {
            Held::Paired { packed, width } => {
                let epilogue = Epilogue { bias: None, then: KernelThen::SiluTimes };
                packed.product(x, pass, &epilogue, *width, packed.placement().operand_dtype())
            }
            Held::Stacked { layer, width } => {
                let both = layer.forward(x, pass)?;
                let half = |first| both.narrow(D::Minus1, first, *width);
                silu(half(0)?)? * half(*width)?
            }
            Held::Two { gate, up } => silu(gate.forward(x, pass)?)? * up.forward(x, pass)?,
        }
    }
}

/// SiLU by candle, which rounds in between to the tensor's dtype.
fn silu(x: Tensor) -> Result<Tensor> {
    let (dtype, wide) = (x.dtype(), x.to_dtype(DType::F32)?);
    drop(x);
    let activated = wide.silu()?;
    drop(wide);
    activated.to_dtype(dtype)
}
