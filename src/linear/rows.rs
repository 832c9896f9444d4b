//! Matrices in 16-bit floats on the CPU: multiplied by a few f32 rows as they are, each weight read once, by all
//! threads, in vectors; or widened to f32. Every bf16 and every f16 is an f32, so both are exact.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// Weights that one task handles, enough to outweigh handing it out.
const TASK_VALUES: usize = 1 << 15;

/// `x: [positions, in]` f32 and `weight: [out, in]` in bf16 or f16, both contiguous, to `[positions, out]` f32.
pub(super) struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "narrow-row-product"
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
        let (Some((x_start, x_end)), Some((start, end))) = (x_at.contiguous_offsets(), weight_at.contiguous_offsets())
        else {
            candle_core::bail!("row product: expected contiguous tensors");
        };
        let CpuStorage::F32(x) = x else {
            candle_core::bail!("row product: expected f32 input");
        };
        let x = &x[x_start..x_end];
        let product = match weight {
            CpuStorage::BF16(weight) => product(x, &weight[start..end], width, positions),
            CpuStorage::F16(weight) => product(x, &weight[start..end], width, positions),
            _ => candle_core::bail!("row product: expected weights in bf16 or f16"),
        };
        Ok((CpuStorage::F32(product), Shape::from((positions, rows))))
    }
}

/// bf16 or f16, contiguous, to f32.
pub(super) struct Widen;

impl CustomOp1 for Widen {
    fn name(&self) -> &'static str {
        "widen"
    }

    fn cpu_fwd(&self, narrow: &CpuStorage, at: &Layout) -> Result<(CpuStorage, Shape)> {
        fn widen<T: Sync>(narrow: &[T], convert: impl Fn(&[T], &mut [f32]) + Sync) -> Vec<f32> {
            let mut wide = vec![0f32; narrow.len()];
            let tasks = wide.par_chunks_mut(TASK_VALUES).zip(narrow.par_chunks(TASK_VALUES));
            tasks.for_each(|(wide, narrow)| convert(narrow, wide));
            wide
        }
        let Some((start, end)) = at.contiguous_offsets() else {
            candle_core::bail!("widen: expected a contiguous tensor");
        };
        let wide = match narrow {
            CpuStorage::BF16(narrow) => widen(&narrow[start..end], HalfFloatSliceExt::convert_to_f32_slice),
            CpuStorage::F16(narrow) => widen(&narrow[start..end], HalfFloatSliceExt::convert_to_f32_slice),
            _ => candle_core::bail!("widen: expected bf16 or f16"),
        };
        Ok((CpuStorage::F32(wide), at.shape().clone()))
    }
}

fn product<T: Narrow>(x: &[f32], weight: &[T], width: usize, positions: usize) -> Vec<f32> {
    let rows = weight.len() / width;
    // Row by row of the weights, so that they are read once for all positions.
    let mut by_row = vec![0f32; rows * positions];
    let rows_per_task = TASK_VALUES.div_ceil(width);
    by_row.par_chunks_mut(rows_per_task * positions).enumerate().for_each(|(task, out)| {
        let weight = &weight[task * rows_per_task * width..];
        for (out, row) in out.chunks_exact_mut(positions).zip(weight.chunks_exact(width)) {
            for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
                *out = dot(x, row);
            }
        }
    });
    match positions {
        1 => by_row,
        _ => (0..positions)
            .flat_map(|p| (0..rows).map(move |row| (row, p)))
            .map(|(row, p)| by_row[row * positions + p])
            .collect(),
    }
}

/// The dot product of one row, with the widest vectors this machine has.
fn dot<T: Narrow>(x: &[f32], weight: &[T]) -> f32 {
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
    dot_lanes::<8, T>(x, weight)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn dot_avx512<T: Narrow>(x: &[f32], weight: &[T]) -> f32 {
    dot_lanes::<64, T>(x, weight)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2<T: Narrow>(x: &[f32], weight: &[T]) -> f32 {
    dot_lanes::<32, T>(x, weight)
}

/// The same with N partial sums, enough to keep several vectors of the caller's features in flight.
#[inline(always)]
fn dot_lanes<const N: usize, T: Narrow>(x: &[f32], weight: &[T]) -> f32 {
    let (x_lanes, x_rest) = x.as_chunks::<N>();
    let (weight_lanes, weight_rest) = weight.as_chunks::<N>();
    let mut sums = [0f32; N];
    for (x, weight) in x_lanes.iter().zip(weight_lanes) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weight) {
            *sum += x * weight.widened();
        }
    }
    let rest: f32 = x_rest.iter().zip(weight_rest).map(|(x, weight)| x * weight.widened()).sum();
    sums.iter().sum::<f32>() + rest
}

/// A 16-bit float that is widened inside of a vector loop, for which `half`'s own conversions are calls.
trait Narrow: Copy + Sync {
    fn widened(self) -> f32;
}

impl Narrow for bf16 {
    /// bf16 is the upper half of an f32.
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Narrow for f16 {
    /// Five bits of exponent become eight, ten of fraction 23.
    #[inline(always)]
    fn widened(self) -> f32 {
        const FRACTION_BITS: u32 = 23;
        /// What the exponents' biases differ by: 127 and 15.
        const REBIAS: u32 = (127 - 15) << FRACTION_BITS;
        /// The exponent of infinities and of what is no number.
        const LAST_EXPONENT: u32 = 31 << FRACTION_BITS;
        /// As bits, the smallest normal f16: 2^-14.
        const SMALLEST: u32 = REBIAS + (1 << FRACTION_BITS);
        let bits = u32::from(self.to_bits());
        let magnitude = (bits & 0x7fff) << 13;
        let exponent = magnitude & LAST_EXPONENT;
        let normal = magnitude + REBIAS;
        // Below the smallest normal number there is no leading one: give it one, and subtract it.
        let subnormal = (f32::from_bits(magnitude + SMALLEST) - f32::from_bits(SMALLEST)).to_bits();
        let small_or_normal = if exponent == 0 { subnormal } else { normal };
        let wide = if exponent == LAST_EXPONENT { normal + REBIAS } else { small_or_normal };
        f32::from_bits(wide | (bits & 0x8000) << 16)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn every_16_bit_float_widens_exactly() {
        let same = |got: f32, expected: f32| got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
        for bits in 0..=u16::MAX {
            let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert!(same(half.widened(), half.to_f32_const()), "f16 {bits:#06x}");
            assert!(same(brain.widened(), brain.to_f32_const()), "bf16 {bits:#06x}");
        }
    }

    #[test]
    fn whole_tensors_widen_as_single_values_do() -> Result<()> {
        let values: Vec<f16> = (0..0x7c00).chain(0x8000..0xfc00).map(f16::from_bits).collect();
        let tensor = Tensor::from_slice(&values, (2, 0x7c00), &Device::Cpu)?;
        for (row, expected) in [(0, &values[..0x7c00]), (1, &values[0x7c00..])] {
            let wide = tensor.narrow(0, row, 1)?.apply_op1_no_bwd(&Widen)?;
            assert_eq!((wide.dtype(), wide.dims()), (DType::F32, &[1, 0x7c00][..]));
            let expected: Vec<f32> = expected.iter().map(|value| value.widened()).collect();
            assert_eq!(wide.flatten_all()?.to_vec1::<f32>()?, expected);
        }
        Ok(())
    }
}
