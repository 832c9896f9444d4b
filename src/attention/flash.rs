//! Flash attention on NVIDIA GPUs, for builds with the `flash-attn` feature (f16 and bf16 only).

use candle_core::{Result, Tensor};

/// Attends `q: [H, S, d]` to `k, v: [K, L, d]` as `CausalBlocks::attend` does, in one kernel without a score matrix.
/// Returns `[S, H, d]`.
pub(super) fn causal(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(2)? as f32).sqrt();
    // The kernel wants [batch, positions, heads, d], strided as it likes but for the last; it knows grouped heads, and
    // aligns the causal mask with the end of the keys.
    let [q, k, v] = [q, k, v].map(|x| x.transpose(0, 1)?.unsqueeze(0));
    candle_flash_attn::flash_attn(&q?, &k?, &v?, scale, true)?.squeeze(0)
}

/// Attends `q, k, v: [T, P, H, d]` to each other within each frame. Returns the same shape. The kernel takes any width
/// that is a multiple of 8; the published tower's is 72.
pub(super) fn full(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    candle_flash_attn::flash_attn(q, k, v, 1.0 / (q.dim(3)? as f32).sqrt(), false)
}
