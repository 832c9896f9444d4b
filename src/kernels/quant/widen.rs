//! Panels of floats out of quantized ones, in vectors.

#[cfg(target_arch = "x86_64")]
mod instruction;

use std::marker::PhantomData;

use super::blocks::{Blocks, Q4K, Q5K, Q6K, Q8_0, Scales, Visit, byte, walk};
use super::format::Format;
use super::lanes::Lanes;
use super::tile::for_format;
use crate::kernels::isa::Isa;
use crate::kernels::panels::Element;

/// How values are written.
///
/// # Safety
/// `S`'s instructions and those of the implementation are there; `to` is 64-byte aligned and has room for what four
/// columns of a panel take.
trait Put<S: Lanes> {
    /// Bytes of a column of a panel.
    const COLUMN_BYTES: usize;

    unsafe fn put(columns: [S::Floats; 4], to: *mut u8);
}

/// As they are.
struct F32;

impl<S: Lanes> Put<S> for F32 {
    const COLUMN_BYTES: usize = 64;

    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined")]
    unsafe fn put(columns: [S::Floats; 4], to: *mut u8) {
        for index in 0..4 {
            // SAFETY: the caller's.
            unsafe { S::store_words(S::bits(columns[index]), to.add(index * 64)) }
        }
    }
}

/// Rounded to the nearest bf16, ties to even. No value is NaN unless a scale is.
struct Bf16;

impl<S: Lanes> Put<S> for Bf16 {
    const COLUMN_BYTES: usize = 32;

    #[inline(always)]
    unsafe fn put(columns: [S::Floats; 4], to: *mut u8) {
        for pair in 0..2 {
            // SAFETY: the caller's.
            unsafe {
                let (even, odd) = (rounded::<S>(columns[pair * 2]), rounded::<S>(columns[pair * 2 + 1]));
                let words = S::or(S::shift_right(even, 16), S::and(odd, S::words(0xffff_0000)));
                S::store_words(words, to.add(pair * 64));
            }
        }
    }
}

/// Bits whose upper half is the rounded float.
#[inline(always)]
unsafe fn rounded<S: Lanes>(float: S::Floats) -> S::Words {
    // SAFETY: the caller has the instructions of `S`.
    unsafe {
        let bits = S::bits(float);
        let last = S::and(S::shift_right(bits, 16), S::words(1));
        S::add(bits, S::add(last, S::words(0x7fff)))
    }
}

/// Where a panel goes.
struct To<W> {
    to: *mut u8,
    how: PhantomData<W>,
}

impl<S: Lanes, F: Blocks<S>, W: Put<S>> Visit<S, F, 1> for To<W> {
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined")]
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; 1],
        scales: &[Scales<S>; 1],
        group: usize,
        phase: usize,
        column: usize,
    ) {
        // SAFETY: the caller's; there is room for all columns.
        unsafe {
            let (scale, minimum) = scales[0].group::<F>(group);
            for quad in 0..F::GROUP / 4 {
                let numbers = F::quad(blocks[0], group, phase, quad);
                let mut columns = [scale; 4];
                for index in 0..4 {
                    columns[index] = S::mul_sub(S::to_floats(byte::<S>(numbers, index)), scale, minimum);
                }
                W::put(columns, self.to.add((column + quad * 4) * W::COLUMN_BYTES));
            }
        }
    }
}

/// Takes a panel, its columns, and where to put it.
///
/// # Safety
/// The instructions are there; the panel is whole and of the format that was asked for; there is room for one of the
/// element's; both are 64-byte aligned.
pub(super) type Widen = unsafe fn(*const u8, usize, *mut u8);

macro_rules! widen {
    ($name:ident, $features:literal, $lanes:ty, $put:ty) => {
        /// # Safety
        /// See [`Widen`].
        #[target_feature(enable = $features)]
        unsafe fn $name<F: Blocks<$lanes>>(from: *const u8, columns: usize, to: *mut u8) {
            // SAFETY: the caller's.
            unsafe { walk::<$lanes, F, 1>(&[from], columns, &mut To::<$put> { to, how: PhantomData }) }
        }
    };
}

/// A function for bf16 or, where that is false, f32.
type ByElement = fn(bool) -> Widen;

/// The function for f32 or bf16; none in plain Rust.
pub(super) fn best(isa: Isa, format: Format, element: Element) -> Option<Widen> {
    #[cfg(target_arch = "aarch64")]
    use arm::by_element;
    #[cfg(target_arch = "x86_64")]
    use x86::by_element;
    by_element(isa, format).map(|widen| widen(element == Element::Bf16))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512};
    use super::instruction::Bf16Instruction;
    use super::*;

    widen!(f32_avx2, "avx2,fma,f16c", Avx2, F32);
    widen!(bf16_avx2, "avx2,fma,f16c", Avx2, Bf16);
    widen!(f32_avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512, F32);
    widen!(bf16_avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512, Bf16);
    widen!(bf16_avx512bf16, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16", Avx512, Bf16Instruction);

    fn avx2<F: Blocks<Avx2>>(narrow: bool) -> Widen {
        if narrow { bf16_avx2::<F> } else { f32_avx2::<F> }
    }

    fn avx512<F: Blocks<Avx512>>(narrow: bool) -> Widen {
        if narrow { bf16_avx512::<F> } else { f32_avx512::<F> }
    }

    fn avx512bf16<F: Blocks<Avx512>>(narrow: bool) -> Widen {
        if narrow { bf16_avx512bf16::<F> } else { f32_avx512::<F> }
    }

    pub(super) fn by_element(isa: Isa, format: Format) -> Option<ByElement> {
        match isa {
            Isa::Plain | Isa::Neon => None,
            Isa::Avx2 => Some(for_format!(format, avx2)),
            Isa::Avx512 | Isa::Avx512Vnni => Some(for_format!(format, avx512)),
            Isa::Avx512Bf16 | Isa::Amx => Some(for_format!(format, avx512bf16)),
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::lanes::Neon;
    use super::*;

    widen!(f32_neon, "neon", Neon, F32);
    widen!(bf16_neon, "neon", Neon, Bf16);

    fn neon<F: Blocks<Neon>>(narrow: bool) -> Widen {
        if narrow { bf16_neon::<F> } else { f32_neon::<F> }
    }

    pub(super) fn by_element(isa: Isa, format: Format) -> Option<ByElement> {
        (isa != Isa::Plain).then_some(for_format!(format, neon))
    }
}
