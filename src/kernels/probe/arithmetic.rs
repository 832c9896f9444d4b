//! Loops of multiply-add in registers alone, with enough accumulators in flight to keep the units busy.
//!
//! What they start from passes through `black_box`, lest the compiler find that all accumulators hold the same.

use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use super::amx;
use crate::kernels::isa::Isa;

/// Steps of one burst: some tenths of a millisecond, short against a measurement and long against handing out.
const STEPS: u32 = 50_000;
/// Accumulators where there are 32 vector registers.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const WIDE: usize = 16;
/// Where there are 16, two of which hold the operands.
const NARROW: usize = 12;
/// Lanes of the plain loop: one vector of the least that targets have.
const PLAIN_LANES: usize = 4;

/// So many multiply-adds, whose sum, which `work` returns, is their own number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    work: fn() -> f64,
    multiply_adds: u64,
}

impl Burst {
    fn new(work: fn() -> f64, accumulators: usize, multiply_adds: usize) -> Self {
        Self { work, multiply_adds: u64::from(STEPS) * (accumulators * multiply_adds) as u64 }
    }

    /// Products and sums, counted apart.
    pub(super) fn operations(self) -> u64 {
        2 * self.multiply_adds
    }

    /// Runs it on this thread.
    pub(super) fn run(self) {
        black_box((self.work)());
    }
}

/// The best that `isa` has for f32.
pub(super) fn f32(isa: Isa) -> Burst {
    match isa {
        // SAFETY: sets of instructions that are handed around are ones that this machine has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => {
            Burst::new(|| unsafe { x86::f32_avx512() }, WIDE, 16)
        }
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Burst::new(|| unsafe { x86::f32_avx2() }, NARROW, 8),
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Burst::new(|| unsafe { arm::f32_neon() }, WIDE, 4),
        _ => Burst::new(f32_plain, NARROW / 2, PLAIN_LANES),
    }
}

/// Products of bf16, summed in f32.
pub(super) fn bf16(isa: Isa) -> Option<Burst> {
    match isa {
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 => Some(Burst::new(|| unsafe { x86::bf16_avx512() }, WIDE, 32)),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => Some(Burst::new(|| unsafe { amx::bf16(STEPS) }, amx::ACCUMULATORS, 16 * 16 * 32)),
        _ => None,
    }
}

/// Products of bytes, summed in i32.
pub(super) fn int8(isa: Isa) -> Option<Burst> {
    match isa {
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni | Isa::Avx512Bf16 => Some(Burst::new(|| unsafe { x86::int8_avx512() }, WIDE, 64)),
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(Burst::new(|| unsafe { arm::int8_neon() }, WIDE, 16)),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => Some(Burst::new(|| unsafe { amx::int8(STEPS) }, amx::ACCUMULATORS, 16 * 16 * 64)),
        _ => None,
    }
}

/// Without an instruction for both at once, products and sums that do not wait for each other are the most there is.
fn f32_plain() -> f64 {
    let mut sums = black_box([[0f32; PLAIN_LANES]; NARROW / 2]);
    let mut products = black_box([[1f32; PLAIN_LANES]; NARROW / 2]);
    let ones = black_box([1f32; PLAIN_LANES]);
    for _ in 0..STEPS {
        for (sum, product) in sums.iter_mut().zip(&mut products) {
            for lane in 0..PLAIN_LANES {
                sum[lane] += ones[lane];
                product[lane] *= ones[lane];
            }
        }
    }
    sums.iter().flatten().zip(products.iter().flatten()).map(|(&sum, &one)| f64::from(sum * one)).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{NARROW, STEPS, WIDE};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn f32_avx2() -> f64 {
        let (a, b) = black_box((_mm256_set1_ps(1.0), _mm256_set1_ps(1.0)));
        let mut sums = black_box([_mm256_setzero_ps(); NARROW]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        // SAFETY: eight f32 are what a vector of them holds.
        let lanes = sums.map(|sum| unsafe { std::mem::transmute::<__m256, [f32; 8]>(sum) });
        lanes.iter().flatten().map(|&sum| f64::from(sum)).sum()
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn f32_avx512() -> f64 {
        let (a, b) = black_box((_mm512_set1_ps(1.0), _mm512_set1_ps(1.0)));
        let mut sums = black_box([_mm512_setzero_ps(); WIDE]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        sums.iter().map(|&sum| f64::from(_mm512_reduce_add_ps(sum))).sum()
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn bf16_avx512() -> f64 {
        let ones = _mm512_set1_ps(1.0);
        let ones = _mm512_cvtne2ps_pbh(ones, ones);
        let (a, b) = black_box((ones, ones));
        let mut sums = black_box([_mm512_setzero_ps(); WIDE]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, a, b);
            }
        }
        sums.iter().map(|&sum| f64::from(_mm512_reduce_add_ps(sum))).sum()
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn int8_avx512() -> f64 {
        let (a, b) = black_box((_mm512_set1_epi8(1), _mm512_set1_epi8(1)));
        let mut sums = black_box([_mm512_setzero_si512(); WIDE]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        sums.iter().map(|&sum| f64::from(_mm512_reduce_add_epi32(sum))).sum()
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::hint::black_box;

    use super::{STEPS, WIDE};
    use crate::kernels::sdot::sdot;

    #[target_feature(enable = "neon")]
    pub(super) fn f32_neon() -> f64 {
        let (a, b) = black_box((vdupq_n_f32(1.0), vdupq_n_f32(1.0)));
        let mut sums = black_box([vdupq_n_f32(0.0); WIDE]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = vfmaq_f32(*sum, a, b);
            }
        }
        sums.iter().map(|&sum| f64::from(vaddvq_f32(sum))).sum()
    }

    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn int8_neon() -> f64 {
        let (a, b) = black_box((vdupq_n_s8(1), vdupq_n_s8(1)));
        let mut sums = black_box([vdupq_n_s32(0); WIDE]);
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = sdot(*sum, a, b);
            }
        }
        sums.iter().map(|&sum| f64::from(vaddvq_s32(sum))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_does_as_many_operations_as_it_says() {
        for isa in Isa::available() {
            for burst in [Some(f32(isa)), bf16(isa), int8(isa)].into_iter().flatten() {
                // Ones times ones: each multiply-add adds one.
                assert_eq!(2.0 * (burst.work)(), burst.operations() as f64, "{isa:?}");
            }
        }
    }
}
