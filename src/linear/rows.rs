//! The product of a few f32 rows with a bf16 matrix on the CPU: each weight is read once, by both cores, in vectors.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape};
use half::bf16;
use rayon::prelude::*;

/// `x: [positions, in]` f32 and `weight: [out, in]` bf16, both contiguous, to `[positions, out]` f32.
pub(super) struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "bf16-row-product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_at: &Layout,
        weight: &CpuStorage,
        weight_at: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (positions, width) = x_at.shape().dims2()?;
        let (rows, _) = weight_at.shape().dims2()?;
        let (CpuStorage::F32(x), CpuStorage::BF16(weight)) = (x, weight) else {
            candle_core::bail!("row product: expected f32 input and bf16 weights");
        };
        let (Some((x_start, x_end)), Some((start, end))) = (x_at.contiguous_offsets(), weight_at.contiguous_offsets())
        else {
            candle_core::bail!("row product: expected contiguous tensors");
        };
        let (x, weight) = (&x[x_start..x_end], &weight[start..end]);
        // Row by row of the weights, so that they are read once for all positions.
        let mut by_row = vec![0f32; rows * positions];
        let rows_per_task = (1usize << 15).div_ceil(width);
        by_row.par_chunks_mut(rows_per_task * positions).enumerate().for_each(|(task, out)| {
            let weight = &weight[task * rows_per_task * width..];
            for (out, row) in out.chunks_exact_mut(positions).zip(weight.chunks_exact(width)) {
                for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
                    *out = dot(x, row);
                }
            }
        });
        let product = match positions {
            1 => by_row,
            _ => (0..positions)
                .flat_map(|p| (0..rows).map(move |row| (row, p)))
                .map(|(row, p)| by_row[row * positions + p])
                .collect(),
        };
        Ok((CpuStorage::F32(product), Shape::from((positions, rows))))
    }
}

/// The dot product of one row, with the widest vectors this machine has.
fn dot(x: &[f32], weight: &[bf16]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { dot_avx512(x, weight) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features were just detected.
            return unsafe { dot_avx2(x, weight) };
        }
    }
    dot_lanes::<8>(x, weight)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn dot_avx512(x: &[f32], weight: &[bf16]) -> f32 {
    dot_lanes::<64>(x, weight)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2(x: &[f32], weight: &[bf16]) -> f32 {
    dot_lanes::<32>(x, weight)
}

/// The same with N partial sums, enough to keep several vectors of the caller's features in flight.
#[inline(always)]
fn dot_lanes<const N: usize>(x: &[f32], weight: &[bf16]) -> f32 {
    let (x_lanes, x_rest) = x.as_chunks::<N>();
    let (weight_lanes, weight_rest) = weight.as_chunks::<N>();
    let mut sums = [0f32; N];
    for (x, weight) in x_lanes.iter().zip(weight_lanes) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weight) {
            *sum += x * widen(*weight);
        }
    }
    let rest: f32 = x_rest.iter().zip(weight_rest).map(|(x, weight)| x * widen(*weight)).sum();
    sums.iter().sum::<f32>() + rest
}

/// bf16 is the upper half of an f32.
#[inline(always)]
fn widen(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}
