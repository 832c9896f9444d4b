//! Which instructions the kernels use: the best that the machine has, or a lower set by `LLAVA_VIDEO_ISA`.

use std::sync::OnceLock;

/// The variable that forces a set of instructions.
pub(crate) const VARIABLE: &str = "LLAVA_VIDEO_ISA";

/// A set of instructions. Each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler makes of plain Rust for the target's baseline.
    Plain,
    /// AVX2 and FMA (with F16C).
    Avx2,
    /// AVX-512: F, BW, DQ, VL.
    Avx512,
    /// AVX-512 with products of bf16 (`vdpbf16ps`) and of bytes (VNNI).
    Avx512Bf16,
}

/// A value of the variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a name.
    #[error("{VARIABLE}={value}: it is one of {}", names(Isa::ALL.iter()))]
    Unknown {
        /// The variable's value.
        value: String,
    },
    /// A name of what this machine lacks.
    #[error("{VARIABLE}={value}: this machine has {}", names(Isa::available().iter()))]
    Missing {
        /// The variable's value.
        value: String,
    },
}

fn names<'a>(sets: impl Iterator<Item = &'a Isa>) -> String {
    sets.map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

impl Isa {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The name, as [`VARIABLE`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
        }
    }

    /// Those that this machine has, the lowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_here()).collect()
    }

    /// The one in use: what the variable says, else the best that this machine has. Settled once.
    ///
    /// # Errors
    /// A variable that names no set, or one that this machine lacks.
    pub fn in_use() -> Result<Self, Error> {
        static IN_USE: OnceLock<Result<Isa, Error>> = OnceLock::new();
        IN_USE.get_or_init(|| Self::asked_for(std::env::var(VARIABLE).ok().as_deref())).clone()
    }

    /// The set that a value of the variable means; an empty one is none.
    fn asked_for(value: Option<&str>) -> Result<Self, Error> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(Self::available().into_iter().next_back().unwrap_or(Self::Plain));
        };
        match Self::ALL.into_iter().find(|isa| isa.name() == value) {
            None => Err(Error::Unknown { value: value.to_owned() }),
            Some(isa) if !isa.is_here() => Err(Error::Missing { value: value.to_owned() }),
            Some(isa) => Ok(isa),
        }
    }

    /// Whether products of bf16 take half the time of products of f32 or less.
    pub fn multiplies_bf16(self) -> bool {
        self >= Self::Avx512Bf16
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
        };
        match self {
            Self::Plain => true,
            Self::Avx2 => avx2 && is_x86_feature_detected!("f16c"),
            Self::Avx512 => Self::Avx2.is_here() && avx512(),
            Self::Avx512Bf16 => {
                Self::Avx512.is_here()
                    && is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Self::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_followed_or_refused() {
        assert_eq!(Isa::asked_for(Some("plain")), Ok(Isa::Plain));
        let best = Isa::available().pop();
        assert_eq!(Isa::asked_for(None).ok(), best);
        assert_eq!(Isa::asked_for(Some("")).ok(), best);
        let error = Isa::asked_for(Some("sse9")).expect_err("no such set").to_string();
        assert_eq!(error, "LLAVA_VIDEO_ISA=sse9: it is one of plain, avx2, avx512, avx512bf16");
        for isa in Isa::ALL {
            assert_eq!(Isa::asked_for(Some(isa.name())).is_ok(), isa.is_here());
        }
    }
}
