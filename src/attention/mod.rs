//! Scaled dot-product attention: the tower's (every patch sees every patch) and the decoder's (causal, in blocks).
//!
//! Scores are turned into weights in f32 whatever the model's dtype, then cast back, as in the reference's eager
//! attention (`Qwen2Attention.forward`, `SigLipAttention.forward`).

mod causal;
#[cfg(feature = "flash-attn")]
mod flash;
mod softmax;

use candle_core::{DType, Result, Tensor};

pub(crate) use causal::CausalBlocks;
use softmax::Visible;

/// Attends `q: [B, P, d]` to `k, v: [B, P, d]` without a mask: `[B, P, d]`.
pub(crate) fn full(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    weighted_sum(&scaled(q)?, k, v, Visible::All)
}

/// Queries divided by the square root of the head's width; cheaper than dividing the scores.
fn scaled(q: &Tensor) -> Result<Tensor> {
    q * (1.0 / (q.dim(candle_core::D::Minus1)? as f64).sqrt())
}

/// `q: [B, R, d]`, scaled already, against `k, v: [B, L, d]`.
fn weighted_sum(q: &Tensor, k: &Tensor, v: &Tensor, visible: Visible<'_>) -> Result<Tensor> {
    let scores = q.matmul(&k.t()?)?.to_dtype(DType::F32)?;
    softmax::rows(scores, visible)?.to_dtype(v.dtype())?.matmul(v)
}
