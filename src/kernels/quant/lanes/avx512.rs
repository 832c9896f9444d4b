//! 16 lanes in a register of AVX-512.

use std::arch::x86_64::*;

use super::Lanes;

/// AVX-512 F, BW, DQ and VL; products of bytes need VNNI too.
pub(in super::super) struct Avx512;

impl Lanes for Avx512 {
    type Floats = __m512;
    type Words = __m512i;
    type Partial = __m512i;

    const WIDE_IS_SIGNED: bool = false;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn words(value: u32) -> __m512i {
        _mm512_set1_epi32(value.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn load(from: *const u8) -> __m512i {
        // SAFETY: the caller gives 64 aligned bytes.
        unsafe { _mm512_load_si512(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn store(floats: __m512, to: *mut f32) {
        // SAFETY: the caller gives room for 16.
        unsafe { _mm512_storeu_ps(to, floats) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn store_words(words: __m512i, to: *mut u8) {
        // SAFETY: the caller gives room for 64 aligned bytes.
        unsafe { _mm512_store_si512(to.cast(), words) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn shift_left(a: __m512i, bits: u32) -> __m512i {
        _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn shift_right(a: __m512i, bits: u32) -> __m512i {
        _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn shift_right_signed(a: __m512i, bits: u32) -> __m512i {
        _mm512_sra_epi32(a, _mm_cvtsi32_si128(bits.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn bits(a: __m512) -> __m512i {
        _mm512_castps_si512(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn from_bits(a: __m512i) -> __m512 {
        _mm512_castsi512_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn to_floats(a: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn low_f16(a: __m512i) -> __m512 {
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn mul_sub(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmsub_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn dot(sums: __m512i, bytes: __m512i, x: *const i8) -> __m512i {
        // SAFETY: the caller gives four bytes.
        let x = unsafe { x.cast::<i32>().read_unaligned() };
        _mm512_dpbusd_epi32(sums, bytes, _mm512_set1_epi32(x))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn partial(words: __m512i) -> __m512i {
        words
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn add_dot(partial: __m512i, bytes: __m512i, x: *const i8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { Self::dot(partial, bytes, x) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn sums(_words: __m512i, partial: __m512i) -> __m512i {
        partial
    }

    fn most_dots(_byte: u32) -> usize {
        usize::MAX
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn dot_wide(sums: __m512i, bytes: __m512i, x: *const i8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { Self::dot(sums, bytes, x) }
    }
}
