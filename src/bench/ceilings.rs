//! What this machine can do at most, probed in the same run, to hold the stages against. The one place that knows how
//! it is probed.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Side of the square matrices whose product is timed.
const SIDE: usize = 1024;

/// Bytes that are read; more than caches hold.
const READ_BYTES: usize = 256 << 20;

/// Bytes that one core reads at a time.
const PIECE_BYTES: usize = 1 << 20;

/// How often each probe runs; the best counts.
const RUNS: usize = 5;

/// What products are computed with.
pub const KERNELS: &str = "candle";

/// Ceilings of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ceilings {
    /// Operations a second in f32; `None` where that was not found out.
    pub f32_flops_per_sec: Option<f64>,
    /// Operations a second in bf16; `None` where that was not found out.
    pub bf16_flops_per_sec: Option<f64>,
    /// Bytes a second from memory; `None` where that was not found out.
    pub read_bytes_per_sec: Option<f64>,
}

impl Ceilings {
    /// Probes the CPU with all threads, for about a second.
    ///
    /// # Errors
    /// A product that fails.
    pub fn probe() -> candle_core::Result<Self> {
        Ok(Self {
            f32_flops_per_sec: Some(product_flops_per_sec()?),
            bf16_flops_per_sec: None,
            read_bytes_per_sec: Some(read_bytes_per_sec()),
        })
    }

    /// Operations a second in this arithmetic.
    pub fn flops_per_sec(&self, dtype: DType) -> Option<f64> {
        match dtype {
            DType::F32 => self.f32_flops_per_sec,
            DType::BF16 => self.bf16_flops_per_sec,
            _ => None,
        }
    }
}

/// The shortest of some runs, in seconds, after one that does not count.
fn best_secs<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let started = Instant::now();
        run()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// candle's product of two f32 matrices, until kernels have a probe of their own.
fn product_flops_per_sec() -> candle_core::Result<f64> {
    let matrix = Tensor::full(0.5f32, (SIDE, SIDE), &Device::Cpu)?.contiguous()?;
    let secs = best_secs(|| matrix.matmul(&matrix).map(|product| drop(black_box(product))))?;
    Ok(2.0 * (SIDE as f64).powi(3) / secs)
}

/// A sum over memory that no cache holds.
fn read_bytes_per_sec() -> f64 {
    let words = vec![1u64; READ_BYTES / size_of::<u64>()];
    let sum = |piece: &[u64]| piece.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    let read = || {
        black_box(words.par_chunks(PIECE_BYTES / size_of::<u64>()).map(sum).reduce(|| 0, u64::wrapping_add));
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(secs) = best_secs(read);
    READ_BYTES as f64 / secs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arithmetic_has_its_own_ceiling() {
        let ceilings = Ceilings { f32_flops_per_sec: Some(5.0), bf16_flops_per_sec: Some(9.0), ..Ceilings::default() };
        let peaks = [DType::F32, DType::BF16, DType::F16].map(|dtype| ceilings.flops_per_sec(dtype));
        assert_eq!(peaks, [Some(5.0), Some(9.0), None]);
    }
}
