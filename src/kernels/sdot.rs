//! Products of bytes on ARM, whose intrinsic (`vdotq_s32`) is not stable yet.

use std::arch::aarch64::{int8x16_t, int32x4_t};
use std::arch::asm;

/// Adds to each of four sums the products of four signed bytes of `a` and `b`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn sdot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: it reads and writes these registers alone.
    unsafe {
        asm!(
            "sdot {:v}.4s, {:v}.16b, {:v}.16b",
            inout(vreg) sums, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
