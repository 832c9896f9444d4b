//! Flash attention on NVIDIA GPUs, for builds with the `flash-attn` feature (f16 and bf16 only).
//!
//! Tests run all but the kernel itself on the CPU: what stands in for it there takes the same tensors, refuses what the
//! kernel refuses, and allocates what the kernel does.

use candle_core::{Result, Tensor};

/// Attends `q: [H, S, d]` to `k, v: [K, L, d]` as `CausalBlocks::attend` does, in one kernel without a score matrix.
/// Returns `[S, H, d]`.
pub(super) fn causal(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(2)? as f32).sqrt();
    // The kernel wants [batch, positions, heads, d], strided as it likes but for the last; it knows grouped heads, and
    // aligns the causal mask with the end of the keys.
    let [q, k, v] = [q, k, v].map(|x| x.transpose(0, 1)?.unsqueeze(0));
    kernel(&q?, &k?, &v?, scale, true)?.squeeze(0)
}

/// Attends `q, k, v: [T, P, H, d]` to each other within each frame. Returns the same shape. The kernel takes any width
/// that is a multiple of 8; the published tower's is 72.
pub(super) fn full(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    kernel(q, k, v, 1.0 / (q.dim(3)? as f32).sqrt(), false)
}

fn kernel(q: &Tensor, k: &Tensor, v: &Tensor, scale: f32, is_causal: bool) -> Result<Tensor> {
    #[cfg(test)]
    if q.device().is_cpu() {
        return q.apply_op3_no_bwd(k, v, &stand_in::Flash { scale, is_causal });
    }
    #[cfg(feature = "flash-attn")]
    return candle_flash_attn::flash_attn(q, k, v, scale, is_causal);
    #[cfg(not(feature = "flash-attn"))]
    candle_core::bail!("there is no flash attention on {:?}", q.device().location());
}

#[cfg(test)]
mod stand_in {
    use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape};
    use half::f16;

    /// The kernel's contract on the CPU, in f16, which candle multiplies there as it is.
    pub(super) struct Flash {
        pub(super) scale: f32,
        pub(super) is_causal: bool,
    }

    /// Values by their place in `[batch, positions, heads, d]`.
    struct Strided<'s>(&'s [f16], &'s Layout);

    impl Strided<'_> {
        fn row(&self, batch: usize, position: usize, head: usize) -> &[f16] {
            let (stride, width) = (self.1.stride(), self.1.dims()[3]);
            let start = self.1.start_offset() + batch * stride[0] + position * stride[1] + head * stride[2];
            &self.0[start..start + width]
        }
    }

    impl CustomOp3 for Flash {
        fn name(&self) -> &'static str {
            "flash-attention-of-tests"
        }

        fn cpu_fwd(
            &self,
            q: &CpuStorage,
            q_layout: &Layout,
            k: &CpuStorage,
            k_layout: &Layout,
            v: &CpuStorage,
            v_layout: &Layout,
        ) -> Result<(CpuStorage, Shape)> {
            for layout in [q_layout, k_layout, v_layout] {
                if layout.stride().last() != Some(&1) || layout.dims().len() != 4 {
                    candle_core::bail!("the kernel does not take {layout:?}");
                }
            }
            let (batches, rows, heads, width) = q_layout.shape().dims4()?;
            let (_, keys, kv_heads, _) = k_layout.shape().dims4()?;
            let (q, k) = (Strided(q.as_slice()?, q_layout), Strided(k.as_slice()?, k_layout));
            let v = Strided(v.as_slice()?, v_layout);
            let mut out = vec![f16::ZERO; batches * rows * heads * width];
            // The logarithms of the sums, which the kernel writes, too.
            let mut sums = vec![0f32; batches * heads * rows];
            let mut weights = Vec::with_capacity(keys);
            for (index, out) in out.chunks_exact_mut(width).enumerate() {
                let (batch, row, head) = (index / heads / rows, index / heads % rows, index % heads);
                let kv_head = head / (heads / kv_heads);
                let seen = if self.is_causal { keys - rows + row + 1 } else { keys };
                let query = q.row(batch, row, head);
                let dot = |key: usize| {
                    let products = query.iter().zip(k.row(batch, key, kv_head));
                    products.map(|(a, b)| a.to_f32() * b.to_f32()).sum::<f32>() * self.scale
                };
                weights.clear();
                weights.extend((0..seen).map(dot));
                let most = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                weights.iter_mut().for_each(|weight| *weight = (*weight - most).exp());
                let sum: f32 = weights.iter().sum();
                sums[(batch * heads + head) * rows + row] = most + sum.ln();
                for (lane, out) in out.iter_mut().enumerate() {
                    let weighted = (0..seen).map(|key| weights[key] * v.row(batch, key, kv_head)[lane].to_f32());
                    *out = f16::from_f32(weighted.sum::<f32>() / sum);
                }
            }
            Ok((CpuStorage::F16(out), q_layout.shape().clone()))
        }
    }
}
