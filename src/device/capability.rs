//! CUDA compute capabilities: which GPUs the kernels of a build run on, and which of them know bf16.

use std::fmt;
use std::str::FromStr;

/// A compute capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// The generation: 8 is Ampere and Ada, 9 is Hopper.
    pub major: u32,
    /// Within the generation.
    pub minor: u32,
}

impl Capability {
    /// Whether candle has kernels in bf16 for it.
    pub fn has_bf16(self) -> bool {
        self.major >= 8
    }

    /// As `CUDA_COMPUTE_CAP` is written: 8.6 is `86`.
    pub fn digits(self) -> String {
        format!("{}{}", self.major, self.minor)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The capability.
    pub capability: Capability,
    /// Whether they run on no other, as code for `90a` does.
    pub is_exact: bool,
}

/// Not an architecture as the CUDA compiler writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a compute capability without its dot, such as 86 or 90a")]
pub struct NoTarget;

impl Target {
    /// What the kernels of this build are compiled for; `None` in a build without any.
    pub fn of_this_build() -> Option<Self> {
        option_env!("LLAVA_VIDEO_CUDA_TARGET")?.parse().ok()
    }

    /// Whether the kernels run on a GPU. Compiled code runs within its generation, on the same minor number and above
    /// (CUDA C++ Programming Guide, "Binary Compatibility"). The quantized kernels and those of flash attention are
    /// nothing else, and a launch that fails is not told: their results would be whatever was in memory.
    pub fn runs_on(self, device: Capability) -> bool {
        let Self { capability, is_exact } = self;
        match is_exact {
            true => device == capability,
            false => device.major == capability.major && device.minor >= capability.minor,
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let number: u32 = digits.parse().map_err(|_| NoTarget)?;
        let is_exact = match &text[digits.len()..] {
            "" | "f" => false,
            "a" => true,
            _ => return Err(NoTarget),
        };
        match number {
            10.. => Ok(Self { capability: Capability { major: number / 10, minor: number % 10 }, is_exact }),
            _ => Err(NoTarget),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.capability.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(target: &str, device: (u32, u32)) -> bool {
        target.parse::<Target>().unwrap().runs_on(Capability { major: device.0, minor: device.1 })
    }

    #[test]
    fn kernels_run_within_their_generation_and_upwards() {
        for (target, device) in [("80", (8, 0)), ("80", (8, 6)), ("86", (8, 9)), ("90a", (9, 0)), ("120", (12, 1))] {
            assert!(runs(target, device), "{target} on {device:?}");
        }
        for (target, device) in [("86", (8, 0)), ("80", (9, 0)), ("75", (8, 0)), ("90a", (9, 1)), ("100", (12, 0))] {
            assert!(!runs(target, device), "{target} on {device:?}");
        }
    }

    #[test]
    fn targets_are_read_as_the_compiler_writes_them() {
        let target = |major, minor, is_exact| Ok(Target { capability: Capability { major, minor }, is_exact });
        assert_eq!("86".parse(), target(8, 6, false));
        assert_eq!("120".parse(), target(12, 0, false));
        assert_eq!("90a".parse(), target(9, 0, true));
        assert_eq!("100f".parse(), target(10, 0, false));
        for wrong in ["", "8", "8.6", "sm_86", "90b", "a", "90aa"] {
            assert_eq!(wrong.parse::<Target>(), Err(NoTarget), "{wrong}");
        }
    }

    #[test]
    fn bf16_begins_with_ampere() {
        assert!(!Capability { major: 7, minor: 5 }.has_bf16());
        assert!(Capability { major: 8, minor: 0 }.has_bf16());
        assert_eq!(Capability { major: 8, minor: 6 }.digits(), "86");
    }
}
