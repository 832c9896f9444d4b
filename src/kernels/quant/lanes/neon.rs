//! 16 lanes in four registers of NEON.

use std::arch::aarch64::*;

use super::Lanes;
use crate::kernels::sdot::sdot;

/// NEON; products of bytes need its dot products too.
pub(in super::super) struct Neon;

type Floats = [float32x4_t; 4];
type Words = [uint32x4_t; 4];

impl Lanes for Neon {
    type Floats = Floats;
    type Words = Words;
    type Partial = Words;

    const WIDE_IS_SIGNED: bool = true;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat(value: f32) -> Floats {
        [vdupq_n_f32(value); 4]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn words(value: u32) -> Words {
        [vdupq_n_u32(value); 4]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const u8) -> Words {
        let from = from.cast::<u32>();
        // SAFETY: the caller gives 64 aligned bytes.
        unsafe { [vld1q_u32(from), vld1q_u32(from.add(4)), vld1q_u32(from.add(8)), vld1q_u32(from.add(12))] }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(floats: Floats, to: *mut f32) {
        for (quarter, floats) in floats.into_iter().enumerate() {
            // SAFETY: the caller gives room for 16.
            unsafe { vst1q_f32(to.add(quarter * 4), floats) };
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store_words(words: Words, to: *mut u8) {
        for (quarter, words) in words.into_iter().enumerate() {
            // SAFETY: the caller gives room for 64 aligned bytes.
            unsafe { vst1q_u32(to.cast::<u32>().add(quarter * 4), words) };
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(a: Words, b: Words) -> Words {
        [vaddq_u32(a[0], b[0]), vaddq_u32(a[1], b[1]), vaddq_u32(a[2], b[2]), vaddq_u32(a[3], b[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn and(a: Words, b: Words) -> Words {
        [vandq_u32(a[0], b[0]), vandq_u32(a[1], b[1]), vandq_u32(a[2], b[2]), vandq_u32(a[3], b[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn or(a: Words, b: Words) -> Words {
        [vorrq_u32(a[0], b[0]), vorrq_u32(a[1], b[1]), vorrq_u32(a[2], b[2]), vorrq_u32(a[3], b[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn xor(a: Words, b: Words) -> Words {
        [veorq_u32(a[0], b[0]), veorq_u32(a[1], b[1]), veorq_u32(a[2], b[2]), veorq_u32(a[3], b[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn shift_left(a: Words, bits: u32) -> Words {
        let bits = vdupq_n_s32(bits.cast_signed());
        a.map(|a| vshlq_u32(a, bits))
    }

    // A shift to the right is one to the left by a negative number.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn shift_right(a: Words, bits: u32) -> Words {
        let bits = vdupq_n_s32(-bits.cast_signed());
        a.map(|a| vshlq_u32(a, bits))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn shift_right_signed(a: Words, bits: u32) -> Words {
        let bits = vdupq_n_s32(-bits.cast_signed());
        a.map(|a| vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a), bits)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn bits(a: Floats) -> Words {
        a.map(|a| vreinterpretq_u32_f32(a))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn from_bits(a: Words) -> Floats {
        a.map(|a| vreinterpretq_f32_u32(a))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn to_floats(a: Words) -> Floats {
        a.map(|a| vcvtq_f32_s32(vreinterpretq_s32_u32(a)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn low_f16(a: Words) -> Floats {
        a.map(|a| vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(a))))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul(a: Floats, b: Floats) -> Floats {
        [vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1]), vmulq_f32(a[2], b[2]), vmulq_f32(a[3], b[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul_add(a: Floats, b: Floats, c: Floats) -> Floats {
        [
            vfmaq_f32(c[0], a[0], b[0]),
            vfmaq_f32(c[1], a[1], b[1]),
            vfmaq_f32(c[2], a[2], b[2]),
            vfmaq_f32(c[3], a[3], b[3]),
        ]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul_sub(a: Floats, b: Floats, c: Floats) -> Floats {
        // SAFETY: the caller's.
        unsafe { Self::mul_add(a, b, c.map(|c| vnegq_f32(c))) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn neg_mul_add(a: Floats, b: Floats, c: Floats) -> Floats {
        [
            vfmsq_f32(c[0], a[0], b[0]),
            vfmsq_f32(c[1], a[1], b[1]),
            vfmsq_f32(c[2], a[2], b[2]),
            vfmsq_f32(c[3], a[3], b[3]),
        ]
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dot(sums: Words, bytes: Words, x: *const i8) -> Words {
        // SAFETY: the caller gives four bytes.
        let x = unsafe { four(x) };
        let dot = |sums, bytes| signed_dot(sums, vreinterpretq_s8_u32(bytes), x);
        [dot(sums[0], bytes[0]), dot(sums[1], bytes[1]), dot(sums[2], bytes[2]), dot(sums[3], bytes[3])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn partial(words: Words) -> Words {
        words
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add_dot(partial: Words, bytes: Words, x: *const i8) -> Words {
        // SAFETY: the caller's.
        unsafe { Self::dot(partial, bytes, x) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sums(_words: Words, partial: Words) -> Words {
        partial
    }

    fn most_dots(_byte: u32) -> usize {
        usize::MAX
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dot_wide(sums: Words, bytes: Words, x: *const i8) -> Words {
        // SAFETY: the caller gives four bytes.
        let x = unsafe { four(x) };
        let top = vdupq_n_u32(0x8080_8080);
        let dot = |sums, bytes| signed_dot(sums, vreinterpretq_s8_u32(veorq_u32(bytes, top)), x);
        [dot(sums[0], bytes[0]), dot(sums[1], bytes[1]), dot(sums[2], bytes[2]), dot(sums[3], bytes[3])]
    }
}

/// Four bytes, four times.
///
/// # Safety
/// They can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four(x: *const i8) -> int8x16_t {
    // SAFETY: the caller's.
    vreinterpretq_s8_s32(vdupq_n_s32(unsafe { x.cast::<i32>().read_unaligned() }))
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn signed_dot(sums: uint32x4_t, a: int8x16_t, b: int8x16_t) -> uint32x4_t {
    vreinterpretq_u32_s32(sdot(vreinterpretq_s32_u32(sums), a, b))
}
