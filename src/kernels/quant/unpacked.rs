//! Panels with a byte for each number, for sums of bytes of many rows: what it takes to read a format is done once.
//!
//! A panel is a run of groups: a line of scales, one of minima, if there are any, and lines of four columns, all as the
//! tiles take them.

use std::marker::PhantomData;

use super::blocks::{Blocks, Scales, Visit, walk};
use super::format::LINE_BYTES;
use super::lanes::{Avx512, Lanes};

/// `F`, unpacked.
pub(super) struct Unpacked<F>(PhantomData<F>);

impl<S: Lanes, F: Blocks<S>> Blocks<S> for Unpacked<F> {
    const COLUMNS: usize = F::GROUP;
    const GROUP: usize = F::GROUP;
    const BYTES: usize = (first_quad::<S, F>() + F::GROUP / 4) * LINE_BYTES;
    const PHASES: usize = 1;
    const OFFSET: Option<u32> = F::OFFSET;
    const FETCHED: bool = false;

    #[inline(always)]
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>) {
        // SAFETY: the caller's.
        unsafe {
            let scale = S::from_bits(S::load(block));
            let minimum = if F::OFFSET.is_none() { S::from_bits(S::load(block.add(LINE_BYTES))) } else { scale };
            scales.set(0, scale, minimum);
        }
    }

    #[inline(always)]
    unsafe fn quad(block: *const u8, _group: usize, _phase: usize, quad: usize) -> S::Words {
        // SAFETY: the caller's.
        unsafe { S::load(block.add((first_quad::<S, F>() + quad) * LINE_BYTES)) }
    }
}

/// Lines before the numbers.
const fn first_quad<S: Lanes, F: Blocks<S>>() -> usize {
    if F::OFFSET.is_none() { 2 } else { 1 }
}

/// Where a panel goes.
struct To(*mut u8);

impl<F: Blocks<Avx512>> Visit<Avx512, F, 1> for To {
    #[inline(always)]
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; 1],
        scales: &[Scales<Avx512>; 1],
        group: usize,
        phase: usize,
        _column: usize,
    ) {
        // SAFETY: the caller's; there is room for all groups.
        unsafe {
            let (scale, minimum) = scales[0].group::<F>(group);
            Avx512::store_words(Avx512::bits(scale), self.0);
            if F::OFFSET.is_none() {
                Avx512::store_words(Avx512::bits(minimum), self.0.add(LINE_BYTES));
            }
            for quad in 0..F::GROUP / 4 {
                let to = self.0.add((first_quad::<Avx512, F>() + quad) * LINE_BYTES);
                Avx512::store_words(F::quad(blocks[0], group, phase, quad), to);
            }
            self.0 = self.0.add(<Unpacked<F> as Blocks<Avx512>>::BYTES);
        }
    }
}

/// How to unpack a format: lines of a panel of so many columns, and the function, which takes a panel, its columns, and
/// where to put it.
///
/// # Safety
/// The instructions are there; the panel is whole and of the format; there is room for as many lines; both are 64-byte
/// aligned.
pub(super) struct Unpack {
    pub(super) lines: fn(usize) -> usize,
    pub(super) run: unsafe fn(*const u8, usize, *mut u8),
}

/// How to unpack `F`.
pub(super) fn unpack<F: Blocks<Avx512>>() -> Unpack {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn run<F: Blocks<Avx512>>(from: *const u8, columns: usize, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { walk::<Avx512, F, 1>(&[from], columns, &mut To(to)) }
    }
    fn lines<F: Blocks<Avx512>>(columns: usize) -> usize {
        columns / F::GROUP * <Unpacked<F> as Blocks<Avx512>>::BYTES / LINE_BYTES
    }
    Unpack { lines: lines::<F>, run: run::<F> }
}
