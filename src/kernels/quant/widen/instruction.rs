//! Rounding to bf16 by the processor's instruction for it.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_load_si512, _mm512_permutexvar_epi16, _mm512_store_si512,
};

use super::super::lanes::{Avx512, Lanes};
use super::Put;

/// Rounded to bf16 as [`Bf16`](super::Bf16) does.
pub(super) struct Bf16Instruction;

#[repr(align(64))]
struct Order([u16; 32]);

/// Where each place of a line takes its value from, out of 16 of an even column and 16 of an odd one.
static PAIRS: Order = Order({
    let mut order = [0; 32];
    let mut lane = 0;
    while lane < 16 {
        order[lane * 2] = lane as u16;
        order[lane * 2 + 1] = lane as u16 + 16;
        lane += 1;
    }
    order
});

impl Put<Avx512> for Bf16Instruction {
    const COLUMN_BYTES: usize = 32;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn put(columns: [<Avx512 as Lanes>::Floats; 4], to: *mut u8) {
        // SAFETY: the order is a vector long and aligned; the rest is the caller's.
        unsafe {
            let order = _mm512_load_si512(PAIRS.0.as_ptr().cast());
            for pair in 0..2 {
                let both = _mm512_cvtne2ps_pbh(columns[pair * 2 + 1], columns[pair * 2]);
                let words = _mm512_permutexvar_epi16(order, std::mem::transmute::<__m512bh, __m512i>(both));
                _mm512_store_si512(to.add(pair * 64).cast(), words);
            }
        }
    }
}
