//! 16 lanes in two registers of AVX2.

use std::arch::x86_64::*;

use super::Lanes;

/// AVX2, FMA and F16C.
pub(in super::super) struct Avx2;

impl Lanes for Avx2 {
    type Floats = [__m256; 2];
    type Words = [__m256i; 2];
    /// Pairs of sums in 16 bits.
    type Partial = [__m256i; 2];

    const WIDE_IS_SIGNED: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn splat(value: f32) -> [__m256; 2] {
        [_mm256_set1_ps(value); 2]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn words(value: u32) -> [__m256i; 2] {
        [_mm256_set1_epi32(value.cast_signed()); 2]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const u8) -> [__m256i; 2] {
        let from = from.cast::<__m256i>();
        // SAFETY: the caller gives 64 aligned bytes.
        unsafe { [_mm256_load_si256(from), _mm256_load_si256(from.add(1))] }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store(floats: [__m256; 2], to: *mut f32) {
        // SAFETY: the caller gives room for 16.
        unsafe {
            _mm256_storeu_ps(to, floats[0]);
            _mm256_storeu_ps(to.add(8), floats[1]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store_words(words: [__m256i; 2], to: *mut u8) {
        let to = to.cast::<__m256i>();
        // SAFETY: the caller gives room for 64 aligned bytes.
        unsafe {
            _mm256_store_si256(to, words[0]);
            _mm256_store_si256(to.add(1), words[1]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn and(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn or(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn xor(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn shift_left(a: [__m256i; 2], bits: u32) -> [__m256i; 2] {
        let bits = _mm_cvtsi32_si128(bits.cast_signed());
        [_mm256_sll_epi32(a[0], bits), _mm256_sll_epi32(a[1], bits)]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn shift_right(a: [__m256i; 2], bits: u32) -> [__m256i; 2] {
        let bits = _mm_cvtsi32_si128(bits.cast_signed());
        [_mm256_srl_epi32(a[0], bits), _mm256_srl_epi32(a[1], bits)]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn shift_right_signed(a: [__m256i; 2], bits: u32) -> [__m256i; 2] {
        let bits = _mm_cvtsi32_si128(bits.cast_signed());
        [_mm256_sra_epi32(a[0], bits), _mm256_sra_epi32(a[1], bits)]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn bits(a: [__m256; 2]) -> [__m256i; 2] {
        [_mm256_castps_si256(a[0]), _mm256_castps_si256(a[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn from_bits(a: [__m256i; 2]) -> [__m256; 2] {
        [_mm256_castsi256_ps(a[0]), _mm256_castsi256_ps(a[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn to_floats(a: [__m256i; 2]) -> [__m256; 2] {
        [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn low_f16(a: [__m256i; 2]) -> [__m256; 2] {
        let low = _mm256_set1_epi32(0xffff);
        let packed = _mm256_packus_epi32(_mm256_and_si256(a[0], low), _mm256_and_si256(a[1], low));
        // Packing takes halves of both in turn: 0, 2, 1, 3 quarters.
        let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
        [_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves))]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn mul_add(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn mul_sub(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fmsub_ps(a[0], b[0], c[0]), _mm256_fmsub_ps(a[1], b[1], c[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn neg_mul_add(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dot(sums: [__m256i; 2], bytes: [__m256i; 2], x: *const i8) -> [__m256i; 2] {
        // SAFETY: the caller gives four bytes.
        let x = _mm256_set1_epi32(unsafe { x.cast::<i32>().read_unaligned() });
        // Two products of 63 and 127 fit 16 bits.
        let dot = |sums, bytes| _mm256_add_epi32(sums, pairs(_mm256_maddubs_epi16(bytes, x)));
        [dot(sums[0], bytes[0]), dot(sums[1], bytes[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn partial(_words: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_setzero_si256(); 2]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add_dot(partial: [__m256i; 2], bytes: [__m256i; 2], x: *const i8) -> [__m256i; 2] {
        // SAFETY: the caller gives four bytes.
        let x = _mm256_set1_epi32(unsafe { x.cast::<i32>().read_unaligned() });
        let dot = |sums, bytes| _mm256_add_epi16(sums, _mm256_maddubs_epi16(bytes, x));
        [dot(partial[0], bytes[0]), dot(partial[1], bytes[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn sums(words: [__m256i; 2], partial: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_add_epi32(words[0], pairs(partial[0])), _mm256_add_epi32(words[1], pairs(partial[1]))]
    }

    // Two products go to each sum of 16 bits at a time.
    fn most_dots(byte: u32) -> usize {
        1 << (i16::MAX as u32 / (2 * 127 * byte)).ilog2()
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dot_wide(sums: [__m256i; 2], bytes: [__m256i; 2], x: *const i8) -> [__m256i; 2] {
        // SAFETY: the caller gives four bytes.
        let x = _mm256_set1_epi32(unsafe { x.cast::<i32>().read_unaligned() });
        // Two products of 255 and 127 do not fit 16 bits, those of 128 and 127 do: the weight's sign goes to `x`.
        let dot = |sums, bytes| {
            let signed = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
            let products = _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed));
            _mm256_add_epi32(sums, pairs(products))
        };
        [dot(sums[0], bytes[0]), dot(sums[1], bytes[1])]
    }
}

/// Sums of neighbours.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(a: __m256i) -> __m256i {
    _mm256_madd_epi16(a, _mm256_set1_epi16(1))
}
