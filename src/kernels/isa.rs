//! Sets of instructions, and which of them this machine has.

#[cfg(target_arch = "x86_64")]
use super::amx;

/// A set of instructions. Each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler makes of plain Rust for the target's baseline.
    Plain,
    /// ARM's vectors, with products of bytes (`sdot`): what processors have since ARMv8.4, and many before.
    Neon,
    /// AVX2 and FMA (with F16C).
    Avx2,
    /// AVX-512: F, BW, DQ, VL.
    Avx512,
    /// AVX-512 with products of bytes (VNNI).
    Avx512Vnni,
    /// AVX-512 with products of bytes and of bf16 (`vdpbf16ps`).
    Avx512Bf16,
    /// Intel's matrix unit: tiles with products of bf16 and of bytes.
    Amx,
}

impl Isa {
    /// Those of this architecture, the lowest first.
    #[cfg(target_arch = "x86_64")]
    pub const ALL: &[Self] = &[Self::Plain, Self::Avx2, Self::Avx512, Self::Avx512Vnni, Self::Avx512Bf16, Self::Amx];
    /// Those of this architecture, the lowest first.
    #[cfg(target_arch = "aarch64")]
    pub const ALL: &[Self] = &[Self::Plain, Self::Neon];
    /// Those of this architecture.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub const ALL: &[Self] = &[Self::Plain];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }

    /// Those that this machine has, the lowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|isa| isa.is_here()).collect()
    }

    /// Whether products of bf16 take half the time of products of f32 or less.
    pub fn multiplies_bf16(self) -> bool {
        self >= Self::Avx512Bf16
    }

    /// Whether there are instructions that add up products of four bytes.
    #[cfg(any(test, target_arch = "x86_64"))]
    pub(crate) fn multiplies_bytes(self) -> bool {
        self == Self::Neon || self >= Self::Avx512Vnni
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_here(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
        };
        match self {
            Self::Plain => true,
            Self::Neon => false,
            Self::Avx2 => avx2 && is_x86_feature_detected!("f16c"),
            Self::Avx512 => Self::Avx2.is_here() && avx512(),
            Self::Avx512Vnni => Self::Avx512.is_here() && is_x86_feature_detected!("avx512vnni"),
            Self::Avx512Bf16 => Self::Avx512Vnni.is_here() && is_x86_feature_detected!("avx512bf16"),
            Self::Amx => Self::Avx512Bf16.is_here() && amx::is_here(),
        }
    }

    #[cfg(target_arch = "aarch64")]
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Neon => std::arch::is_aarch64_feature_detected!("dotprod"),
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Amx => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn is_here(self) -> bool {
        self == Self::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_holds_those_before_it() {
        let available = Isa::available();
        assert_eq!(available, Isa::ALL[..available.len()]);
    }
}
