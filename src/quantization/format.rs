//! How the values of one tensor are written: plain floats, or blocks of small integers with a scale.

use candle_core::DType;
use candle_core::quantized::GgmlDType;

/// How a tensor is stored or held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One float a value: f32, f16 or bf16.
    Float(DType),
    /// Blocks of 32 values of 8 bits.
    Q8_0,
    /// Blocks of 256 values of 6 bits.
    Q6K,
    /// Blocks of 256 values of 5 bits.
    Q5K,
    /// Blocks of 256 values of 4 bits.
    Q4K,
}

impl Format {
    /// As GGUF's tools call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float(dtype) => dtype.as_str(),
            Self::Q8_0 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q5K => "q5_k",
            Self::Q4K => "q4_k",
        }
    }

    /// The float type, if it is one.
    pub fn float(self) -> Option<DType> {
        match self {
            Self::Float(dtype) => Some(dtype),
            _ => None,
        }
    }

    /// Bytes of `values` values that divide into blocks.
    pub fn bytes(self, values: usize) -> usize {
        let (block_values, block_bytes) = self.block();
        values / block_values * block_bytes
    }

    /// Values and bytes of one block.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::Float(dtype) => (1, dtype.size_in_bytes()),
            _ => self.ggml().map_or((1, 0), |ggml| (ggml.block_size(), ggml.type_size())),
        }
    }

    /// Whether rows of this many values divide into blocks.
    pub(crate) fn holds(self, columns: usize) -> bool {
        columns.is_multiple_of(self.block().0)
    }

    /// This format, or q8_0 where rows do not divide into its blocks, or none where not even that holds them.
    pub(super) fn fitting(self, columns: usize) -> Option<Self> {
        [self, Self::Q8_0].into_iter().find(|format| format.holds(columns))
    }

    /// candle's name; `None` for float types that weights never have.
    pub(crate) fn ggml(self) -> Option<GgmlDType> {
        match self {
            Self::Float(DType::F32) => Some(GgmlDType::F32),
            Self::Float(DType::F16) => Some(GgmlDType::F16),
            Self::Float(DType::BF16) => Some(GgmlDType::BF16),
            Self::Float(_) => None,
            Self::Q8_0 => Some(GgmlDType::Q8_0),
            Self::Q6K => Some(GgmlDType::Q6K),
            Self::Q5K => Some(GgmlDType::Q5K),
            Self::Q4K => Some(GgmlDType::Q4K),
        }
    }

    /// The number by which GGUF files know it (`ggml_type` in ggml.h).
    pub(crate) fn gguf_id(self) -> Option<u32> {
        GGUF_IDS.iter().find(|(format, _)| *format == self).map(|(_, id)| *id)
    }

    /// The format of a GGUF number, if this program reads it.
    pub(crate) fn of_gguf_id(id: u32) -> Option<Self> {
        GGUF_IDS.iter().find(|(_, known)| *known == id).map(|(format, _)| *format)
    }
}

const GGUF_IDS: [(Format, u32); 7] = [
    (Format::Float(DType::F32), 0),
    (Format::Float(DType::F16), 1),
    (Format::Q8_0, 8),
    (Format::Q4K, 12),
    (Format::Q5K, 13),
    (Format::Q6K, 14),
    (Format::Float(DType::BF16), 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_ggml() {
        for (format, bits) in [(Format::Q8_0, 8.5), (Format::Q6K, 6.5625), (Format::Q5K, 5.5), (Format::Q4K, 4.5)] {
            assert_eq!(format.bytes(1 << 20) as f64 * 8.0 / f64::from(1 << 20), bits, "{}", format.name());
        }
        assert_eq!(Format::Float(DType::BF16).bytes(3), 6);
    }
}
