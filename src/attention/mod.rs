//! Scaled dot-product attention: the tower's (every patch sees every patch) and the decoder's (causal, in blocks).
//!
//! Scores are turned into weights in f32 whatever the model's dtype, then cast back, as in the reference's eager
//! attention (`Qwen2Attention.forward`, `SigLipAttention.forward`). The CPU's kernels (`kernels::attention`) run the
//! tower's; what is here of the decoder's is for other devices.

mod causal;
#[cfg(any(test, feature = "flash-attn"))]
mod flash;
mod softmax;

use candle_core::{DType, Result, Tensor};

pub(crate) use causal::{CausalBlocks, block_rows};
use softmax::Visible;

use crate::device::Placement;
use crate::host;
use crate::kernels::{self, attention::Full};

/// The vision tower's: every patch attends to every patch of its own frame. `qkv: [T, P, 3 * heads * d]` are queries,
/// keys and values; returns `[T, P, heads * d]`.
pub(crate) fn full(qkv: &Tensor, heads: usize, placement: &Placement) -> Result<Tensor> {
    let (frames, patches, joined) = qkv.dims3()?;
    let (width, head_dim) = (joined / 3, joined / 3 / heads);
    if placement.uses_kernels() {
        let shape = Full { frames, patches, heads, width: head_dim };
        return host::floats(&qkv.contiguous()?, |qkv| {
            host::written((frames, patches, width), placement.operand_dtype(), |out| {
                kernels::attention::full(placement.isa(), placement.operands, qkv, shape, out);
                Ok(())
            })
        });
    }
    #[cfg(any(test, feature = "flash-attn"))]
    if placement.uses_flash_attention() && head_dim % 8 == 0 {
        let parts = qkv.contiguous()?.reshape((frames, patches, 3, heads, head_dim))?;
        let part = |index: usize| parts.narrow(2, index, 1)?.squeeze(2);
        return flash::full(&part(0)?, &part(1)?, &part(2)?)?.reshape((frames, patches, width));
    }
    // [T, P, heads * d] -> [T * heads, P, d]
    let split = |part: usize| {
        let x = qkv.narrow(2, part * width, width)?.reshape((frames, patches, heads, head_dim))?;
        x.transpose(1, 2)?.reshape((frames * heads, patches, head_dim))
    };
    let attended = weighted_sum(&split(0)?, &split(1)?, &split(2)?, Visible::All, placement.is_gpu)?;
    attended.reshape((frames, heads, patches, head_dim))?.transpose(1, 2)?.reshape((frames, patches, width))
}

/// `q: [B, R, d]` against `k, v: [B, L, d]`.
///
/// Scores are divided by the square root of the head's width in f32: queries in 16 bits would be rounded once more, and
/// candle rounds a factor to the tensor's dtype, which for 1 / sqrt(72) in bf16 loses 0.15 %.
///
/// Scores are the largest tensors that there are: each is dropped before the next but one is made.
fn weighted_sum(q: &Tensor, k: &Tensor, v: &Tensor, visible: Visible<'_>, is_gpu: bool) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(candle_core::D::Minus1)? as f64).sqrt();
    let product = q.matmul(&k.t()?)?;
    let scores = product.to_dtype(DType::F32)?;
    drop(product);
    let weights = softmax::rows((scores * scale)?, visible, is_gpu)?.to_dtype(v.dtype())?;
    weights.matmul(v)
}
