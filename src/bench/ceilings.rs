//! What this machine can do at most, probed in the same run, to hold the stages against. The one place that knows how
//! it is probed.

use candle_core::DType;

use crate::device::Placement;
use crate::kernels::probe;

/// Bytes that are read; more than caches hold.
const READ_BYTES: usize = 1 << 30;

/// Ceilings of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ceilings {
    /// Operations a second in f32; `None` where that was not found out.
    pub f32_flops_per_sec: Option<f64>,
    /// Operations a second in bf16; `None` where that was not found out.
    pub bf16_flops_per_sec: Option<f64>,
    /// Operations a second on bytes; `None` without instructions for them.
    pub int8_ops_per_sec: Option<f64>,
    /// Bytes a second from memory; `None` where that was not found out.
    pub read_bytes_per_sec: Option<f64>,
}

impl Ceilings {
    /// Probes the CPU with all threads, for about a second, in the instructions that the kernels of `placement` use.
    pub(super) fn probe(placement: &Placement) -> Self {
        let isa = placement.isa();
        Self {
            f32_flops_per_sec: Some(probe::peak_f32(isa)),
            bf16_flops_per_sec: probe::peak_bf16(isa),
            int8_ops_per_sec: probe::peak_int8(isa),
            // Without a gigabyte to read, there is nothing to hold reading against.
            read_bytes_per_sec: probe::read_bytes_per_sec(READ_BYTES).ok(),
        }
    }

    /// Operations a second of products: on bytes, or in this arithmetic.
    pub(super) fn products_per_sec(&self, of_bytes: bool, dtype: DType) -> Option<f64> {
        if of_bytes { self.int8_ops_per_sec } else { self.flops_per_sec(dtype) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arithmetic_has_its_own_ceiling() {
        let ceilings = Ceilings { f32_flops_per_sec: Some(5.0), bf16_flops_per_sec: Some(9.0), ..Ceilings::default() };
        let peaks = [DType::F32, DType::BF16, DType::F16].map(|dtype| ceilings.products_per_sec(false, dtype));
        assert_eq!(peaks, [Some(5.0), Some(9.0), None]);
        assert_eq!(ceilings.products_per_sec(true, DType::F32), None, "bytes are not held against floats");
        let ceilings = Ceilings { int8_ops_per_sec: Some(20.0), ..ceilings };
        assert_eq!(ceilings.products_per_sec(true, DType::BF16), Some(20.0));
    }
}
