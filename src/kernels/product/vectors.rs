//! Adding and rounding 16 numbers at a time. Loops this short are not reliably made into vectors, so that they are
//! written with intrinsics; longer ones, as the functions of `activation`, are left to the compiler.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::bf16;

use crate::kernels::out::Value;
use crate::kernels::panels::PANEL_ROWS;
use crate::kernels::prefetch;

/// Asks for `count` values from `first` on to be brought into the first cache.
#[inline(always)]
pub(super) fn prefetch<T>(first: *const T, count: usize) {
    const LINE: usize = 64;
    let (first, bytes) = (first.cast::<u8>(), count * size_of::<T>());
    let last = bytes.saturating_sub(1);
    let mut at = 0;
    // The last byte may lie one line further than the whole lines from the first one.
    while at < last + LINE {
        prefetch::line(first.wrapping_add(at.min(last)));
        at += LINE;
    }
}

/// A set of instructions.
pub(super) trait Vectors {
    /// Adds `to` to `values`.
    ///
    /// # Safety
    /// The machine has the set.
    unsafe fn add(values: &mut [f32; PANEL_ROWS], to: &[f32; PANEL_ROWS]);

    /// Rounds as [`round`] does.
    ///
    /// # Safety
    /// The machine has the set.
    unsafe fn round(values: &[f32; PANEL_ROWS], to: &mut [bf16; PANEL_ROWS]);
}

/// To the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub(super) fn round(x: f32) -> bf16 {
    Value::of(x)
}

/// Those of plain Rust.
pub(super) struct Plain;

impl Vectors for Plain {
    #[inline(always)]
    unsafe fn add(values: &mut [f32; PANEL_ROWS], to: &[f32; PANEL_ROWS]) {
        for (value, to) in values.iter_mut().zip(to) {
            *value += to;
        }
    }

    #[inline(always)]
    unsafe fn round(values: &[f32; PANEL_ROWS], to: &mut [bf16; PANEL_ROWS]) {
        for (to, value) in to.iter_mut().zip(values) {
            *to = round(*value);
        }
    }
}

/// AVX2.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Vectors for Avx2 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(values: &mut [f32; PANEL_ROWS], to: &[f32; PANEL_ROWS]) {
        for half in [0, 8] {
            // SAFETY: both arrays hold 8 numbers from there on.
            unsafe {
                let at = values.as_mut_ptr().add(half);
                _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), _mm256_loadu_ps(to.as_ptr().add(half))));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn round(values: &[f32; PANEL_ROWS], to: &mut [bf16; PANEL_ROWS]) {
        // SAFETY: the array holds 8 numbers from either half on.
        let halves = unsafe { [_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))] };
        let mut words = [_mm256_setzero_si256(); 2];
        for (words, x) in words.iter_mut().zip(halves) {
            let bits = _mm256_castps_si256(x);
            let high = _mm256_srli_epi32(bits, 16);
            let odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
            *words = _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), quiet, nan);
        }
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(words[0], words[1]));
        // SAFETY: the array is 32 bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), packed) };
    }
}

/// AVX-512.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Vectors for Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add(values: &mut [f32; PANEL_ROWS], to: &[f32; PANEL_ROWS]) {
        // SAFETY: both arrays are 64 bytes.
        unsafe {
            let sum = _mm512_add_ps(_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(to.as_ptr()));
            _mm512_storeu_ps(values.as_mut_ptr(), sum);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn round(values: &[f32; PANEL_ROWS], to: &mut [bf16; PANEL_ROWS]) {
        // Not `vcvtneps2bf16`, which takes the smallest numbers for zero.
        // SAFETY: the array is 64 bytes.
        let x = unsafe { _mm512_loadu_ps(values.as_ptr()) };
        let bits = _mm512_castps_si512(x);
        let high = _mm512_srli_epi32(bits, 16);
        let odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
        let words = _mm512_mask_mov_epi32(_mm512_srli_epi32(rounded, 16), nan, quiet);
        // SAFETY: the array is 32 bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(words)) };
    }
}

/// NEON.
#[cfg(target_arch = "aarch64")]
pub(super) struct Neon;

#[cfg(target_arch = "aarch64")]
impl Vectors for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(values: &mut [f32; PANEL_ROWS], to: &[f32; PANEL_ROWS]) {
        for quarter in (0..PANEL_ROWS).step_by(4) {
            // SAFETY: both arrays hold 4 numbers from there on.
            unsafe {
                let at = values.as_mut_ptr().add(quarter);
                vst1q_f32(at, vaddq_f32(vld1q_f32(at), vld1q_f32(to.as_ptr().add(quarter))));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn round(values: &[f32; PANEL_ROWS], to: &mut [bf16; PANEL_ROWS]) {
        for quarter in (0..PANEL_ROWS).step_by(4) {
            // SAFETY: the array holds 4 numbers from there on.
            let x = unsafe { vld1q_f32(values.as_ptr().add(quarter)) };
            let bits = vreinterpretq_u32_f32(x);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x40 << 16));
            // What equals itself is a number.
            let words = vbslq_u32(vceqq_f32(x, x), rounded, quiet);
            // SAFETY: the array holds 4 numbers from there on, as bits.
            unsafe { vst1_u16(to.as_mut_ptr().add(quarter).cast(), vshrn_n_u32::<16>(words)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Add = unsafe fn(&mut [f32; PANEL_ROWS], &[f32; PANEL_ROWS]);
    type Round = unsafe fn(&[f32; PANEL_ROWS], &mut [bf16; PANEL_ROWS]);

    fn sets() -> Vec<(Add, Round)> {
        use crate::kernels::isa::Isa;
        let mut sets: Vec<(Add, Round)> = vec![(Plain::add, Plain::round)];
        #[cfg(target_arch = "x86_64")]
        if Isa::available().contains(&Isa::Avx2) {
            sets.push((Avx2::add, Avx2::round));
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::available().contains(&Isa::Avx512) {
            sets.push((Avx512::add, Avx512::round));
        }
        #[cfg(target_arch = "aarch64")]
        if Isa::available().contains(&Isa::Neon) {
            sets.push((Neon::add, Neon::round));
        }
        sets
    }

    #[test]
    fn rounding_is_to_nearest_and_ties_to_even() {
        let ends = [0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 1, 0x8000, 0x1_8000];
        let all: Vec<f32> = (0..=u32::MAX).step_by(4_093).chain(ends).map(f32::from_bits).collect();
        for (_, round) in sets() {
            for values in all.as_rchunks().1 {
                let mut rounded = [bf16::ZERO; PANEL_ROWS];
                // SAFETY: the machine has the set.
                unsafe { round(values, &mut rounded) };
                for (got, x) in rounded.iter().zip(values) {
                    let expected = bf16::from_f32(*x);
                    assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{x}: {got}");
                }
            }
        }
    }

    #[test]
    fn adding_adds_each_to_its_own() {
        for (add, _) in sets() {
            let mut values = std::array::from_fn(|lane| lane as f32);
            // SAFETY: the machine has the set.
            unsafe { add(&mut values, &std::array::from_fn(|lane| (lane * lane) as f32)) };
            assert_eq!(values, std::array::from_fn(|lane| (lane + lane * lane) as f32));
        }
    }
}
