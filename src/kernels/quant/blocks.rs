//! The blocks of each format in vectors: scales of a block at once, then numbers of four columns at a time.

use std::mem::MaybeUninit;

use super::format::LINE_BYTES;
use super::lanes::Lanes;
use crate::kernels::prefetch;

/// Most groups of a block.
const GROUPS: usize = 16;

/// How far ahead of a block its like is asked for: the time that memory takes.
const FETCHED_AHEAD_BYTES: usize = 6 << 10;

/// Scales of each group of a block, and minima where the format stores them.
pub(super) struct Scales<S: Lanes> {
    scales: [MaybeUninit<S::Floats>; GROUPS],
    minima: [MaybeUninit<S::Floats>; GROUPS],
}

impl<S: Lanes> Scales<S> {
    const NONE: Self = Self { scales: [MaybeUninit::uninit(); GROUPS], minima: [MaybeUninit::uninit(); GROUPS] };

    #[inline(always)]
    pub(super) fn set(&mut self, group: usize, scale: S::Floats, minimum: S::Floats) {
        self.scales[group].write(scale);
        self.minima[group].write(minimum);
    }

    #[inline(always)]
    fn set_scale(&mut self, group: usize, scale: S::Floats) {
        self.scales[group].write(scale);
    }

    /// The scale of a group.
    ///
    /// # Safety
    /// It was set.
    #[inline(always)]
    pub(super) unsafe fn scale(&self, group: usize) -> S::Floats {
        // SAFETY: the caller's.
        unsafe { self.scales[group].assume_init() }
    }

    /// The minimum of a group, which the format stores.
    ///
    /// # Safety
    /// It was set.
    #[inline(always)]
    pub(super) unsafe fn minimum(&self, group: usize) -> S::Floats {
        // SAFETY: the caller's.
        unsafe { self.minima[group].assume_init() }
    }

    /// Scale and minimum of a group of any format.
    ///
    /// # Safety
    /// `F` set them; the instructions of `S` are there.
    #[inline(always)]
    pub(super) unsafe fn group<F: Blocks<S>>(&self, group: usize) -> (S::Floats, S::Floats) {
        // SAFETY: the caller's.
        unsafe {
            let scale = self.scale(group);
            match F::OFFSET {
                Some(offset) => (scale, S::mul(scale, S::splat(offset as f32))),
                None => (scale, self.minimum(group)),
            }
        }
    }
}

/// How to read a format. `PHASE`s are groups that follow one another and are read in different ways: group `g` of a
/// block is of phase `g % PHASES`. Bodies unroll them, so that shifts are constants.
///
/// # Safety
/// `block` points to a whole block, or to as many groups of one as are asked for; the instructions of `S` are there.
pub(super) trait Blocks<S: Lanes> {
    /// Columns of a block.
    const COLUMNS: usize;
    /// Columns of a group.
    const GROUP: usize;
    /// Bytes of a block.
    const BYTES: usize;
    const PHASES: usize;
    /// The greatest number.
    const MOST: u32;
    /// What numbers exceed ggml's signed ones by; `None` where groups have minima instead.
    const OFFSET: Option<u32>;
    /// Whether to ask for what is read later. A block has more than one thing, and what reads them in turns is no
    /// stream that the processor would foresee: without asking, q6_k comes from memory at half the speed or less.
    const FETCHED: bool = true;

    /// Reads scales of the whole block, minima only if there are.
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>);

    /// The numbers of four columns, a byte each.
    unsafe fn quad(block: *const u8, group: usize, phase: usize, quad: usize) -> S::Words;
}

/// What is done to each group of some panels.
///
/// # Safety
/// As [`Blocks`]; `group` is one of the block, of phase `phase`, and starts at `column` of the panels.
pub(super) trait Visit<S: Lanes, F: Blocks<S>, const P: usize> {
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; P],
        scales: &[Scales<S>; P],
        group: usize,
        phase: usize,
        column: usize,
    );
}

/// Visits all groups of some panels, in order.
///
/// Neither this nor what it calls has closures: the compiler gives them no instructions of `S`, and may fail to inline
/// them or what they call.
///
/// # Safety
/// `S`'s instructions are there; panels are whole ones of `columns` columns, 64-byte aligned.
#[inline(always)]
pub(super) unsafe fn walk<S: Lanes, F: Blocks<S>, const P: usize>(
    panels: &[*const u8; P],
    columns: usize,
    visit: &mut impl Visit<S, F, P>,
) {
    // SAFETY: columns are whole groups, and the blocks are there.
    unsafe {
        let mut scales = [const { Scales::<S>::NONE }; P];
        let (mut blocks, mut start) = (*panels, 0);
        while start < columns {
            for panel in 0..P {
                F::scales(blocks[panel], &mut scales[panel]);
            }
            let groups = F::COLUMNS.min(columns - start) / F::GROUP;
            let mut first = 0;
            while first < groups {
                one::<S, F, P>(&blocks, &scales, first, 0, start, visit);
                if F::PHASES > 1 {
                    one::<S, F, P>(&blocks, &scales, first, 1, start, visit);
                }
                if F::PHASES > 2 {
                    one::<S, F, P>(&blocks, &scales, first, 2, start, visit);
                    one::<S, F, P>(&blocks, &scales, first, 3, start, visit);
                    one::<S, F, P>(&blocks, &scales, first, 4, start, visit);
                    one::<S, F, P>(&blocks, &scales, first, 5, start, visit);
                    one::<S, F, P>(&blocks, &scales, first, 6, start, visit);
                    one::<S, F, P>(&blocks, &scales, first, 7, start, visit);
                }
                first += F::PHASES;
            }
            for block in &mut blocks {
                *block = block.add(F::BYTES);
            }
            start += F::COLUMNS;
        }
    }
}

/// Visits group `first + phase` of blocks that start at column `start`.
#[inline(always)]
unsafe fn one<S: Lanes, F: Blocks<S>, const P: usize>(
    blocks: &[*const u8; P],
    scales: &[Scales<S>; P],
    first: usize,
    phase: usize,
    start: usize,
    visit: &mut impl Visit<S, F, P>,
) {
    let group = first + phase;
    if F::FETCHED {
        let lines = (F::BYTES / LINE_BYTES).div_ceil(F::COLUMNS / F::GROUP);
        for block in blocks {
            let ahead = block.wrapping_add(FETCHED_AHEAD_BYTES + group * lines * LINE_BYTES);
            for line in 0..lines {
                prefetch::line_to_second(ahead.wrapping_add(line * LINE_BYTES));
            }
        }
    }
    // SAFETY: the caller's.
    unsafe { visit.group(blocks, scales, group, phase, start + group * F::GROUP) };
}

pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;
pub(super) struct Q8_0;

#[inline(always)]
unsafe fn line<S: Lanes>(block: *const u8, index: usize) -> S::Words {
    // SAFETY: the caller asks for a line of the block.
    unsafe { S::load(block.add(index * LINE_BYTES)) }
}

/// One byte of each word.
#[inline(always)]
pub(super) unsafe fn byte<S: Lanes>(words: S::Words, index: usize) -> S::Words {
    // SAFETY: the caller's.
    unsafe {
        let shifted = if index == 0 { words } else { S::shift_right(words, 8 * index as u32) };
        if index == 3 { shifted } else { S::and(shifted, S::words(0xff)) }
    }
}

/// Scales and minima of 6 bits, as q4_k and q5_k have them.
#[inline(always)]
unsafe fn six_bits<S: Lanes>(block: *const u8, out: &mut Scales<S>) {
    // SAFETY: the caller's; the first four lines are there.
    unsafe {
        let floats = line::<S>(block, 0);
        let (scale, minimum) = (S::low_f16(floats), S::low_f16(S::shift_right(floats, 16)));
        let (scales, minima, rest) = (line::<S>(block, 1), line::<S>(block, 2), line::<S>(block, 3));
        let (six, four, top) = (S::words(0x3f3f_3f3f), S::words(0x0f0f_0f0f), S::words(0x3030_3030));
        let last_scales = S::or(S::and(rest, four), S::and(S::shift_right(scales, 2), top));
        let last_minima = S::or(S::and(S::shift_right(rest, 4), four), S::and(S::shift_right(minima, 2), top));
        let (scales, minima) = ([S::and(scales, six), last_scales], [S::and(minima, six), last_minima]);
        for group in 0..8 {
            let (half, index) = (group / 4, group % 4);
            let scale = S::mul(scale, S::to_floats(byte::<S>(scales[half], index)));
            out.set(group, scale, S::mul(minimum, S::to_floats(byte::<S>(minima[half], index))));
        }
    }
}

/// The lower or upper nibble of each byte.
#[inline(always)]
unsafe fn nibbles<S: Lanes>(words: S::Words, upper: bool) -> S::Words {
    // SAFETY: the caller's.
    unsafe { S::and(if upper { S::shift_right(words, 4) } else { words }, S::words(0x0f0f_0f0f)) }
}

/// Bits `from` and so on of each byte as its bits 4 and so on; `mask` says how many.
#[inline(always)]
unsafe fn as_bit_4<S: Lanes>(words: S::Words, from: usize, mask: u32) -> S::Words {
    // SAFETY: the caller's.
    unsafe {
        let shifted = match from {
            0..4 => S::shift_left(words, 4 - from as u32),
            4 => words,
            _ => S::shift_right(words, from as u32 - 4),
        };
        S::and(shifted, S::words(mask))
    }
}

impl<S: Lanes> Blocks<S> for Q4K {
    const COLUMNS: usize = 256;
    const GROUP: usize = 32;
    const BYTES: usize = 36 * LINE_BYTES;
    const PHASES: usize = 2;
    const MOST: u32 = 15;
    const OFFSET: Option<u32> = None;

    #[inline(always)]
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>) {
        // SAFETY: the caller's.
        unsafe { six_bits(block, scales) }
    }

    #[inline(always)]
    unsafe fn quad(block: *const u8, group: usize, phase: usize, quad: usize) -> S::Words {
        // SAFETY: the caller's.
        unsafe { nibbles::<S>(line::<S>(block, 4 + group / 2 * 8 + quad), phase == 1) }
    }
}

impl<S: Lanes> Blocks<S> for Q5K {
    const COLUMNS: usize = 256;
    const GROUP: usize = 32;
    const BYTES: usize = 44 * LINE_BYTES;
    const PHASES: usize = 8;
    const MOST: u32 = 31;
    const OFFSET: Option<u32> = None;

    #[inline(always)]
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>) {
        // SAFETY: the caller's.
        unsafe { six_bits(block, scales) }
    }

    #[inline(always)]
    unsafe fn quad(block: *const u8, group: usize, phase: usize, quad: usize) -> S::Words {
        // SAFETY: the caller's.
        unsafe {
            let low = nibbles::<S>(line::<S>(block, 12 + group / 2 * 8 + quad), phase % 2 == 1);
            S::or(low, as_bit_4::<S>(line::<S>(block, 4 + quad), phase, 0x1010_1010))
        }
    }
}

impl<S: Lanes> Blocks<S> for Q6K {
    const COLUMNS: usize = 256;
    const GROUP: usize = 16;
    const BYTES: usize = 53 * LINE_BYTES;
    const PHASES: usize = 8;
    const MOST: u32 = 63;
    const OFFSET: Option<u32> = Some(32);

    #[inline(always)]
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>) {
        // SAFETY: the caller's.
        unsafe {
            let scale = S::low_f16(line::<S>(block, 0));
            for group in 0..16 {
                let numbers = S::shift_left(line::<S>(block, 1 + group / 4), 24 - 8 * (group as u32 % 4));
                scales.set_scale(group, S::mul(scale, S::to_floats(S::shift_right_signed(numbers, 24))));
            }
        }
    }

    #[inline(always)]
    unsafe fn quad(block: *const u8, group: usize, phase: usize, quad: usize) -> S::Words {
        // 128 columns are four runs of 32: two lots of low nibbles, then their high ones.
        let (half, run, quad) = (group / 8, phase / 2, phase % 2 * 4 + quad);
        // SAFETY: the caller's.
        unsafe {
            let low = nibbles::<S>(line::<S>(block, 21 + half * 16 + run % 2 * 8 + quad), run / 2 == 1);
            S::or(low, as_bit_4::<S>(line::<S>(block, 5 + half * 8 + quad), run * 2, 0x3030_3030))
        }
    }
}

impl<S: Lanes> Blocks<S> for Q8_0 {
    const COLUMNS: usize = 64;
    const GROUP: usize = 32;
    const BYTES: usize = 17 * LINE_BYTES;
    const PHASES: usize = 1;
    const MOST: u32 = 255;
    const OFFSET: Option<u32> = Some(128);
    // Read line by line, in order. To ask for the lines as well takes the core's few buffers for misses.
    const FETCHED: bool = false;

    #[inline(always)]
    unsafe fn scales(block: *const u8, scales: &mut Scales<S>) {
        // SAFETY: the caller's.
        unsafe {
            let floats = line::<S>(block, 0);
            scales.set_scale(0, S::low_f16(floats));
            scales.set_scale(1, S::low_f16(S::shift_right(floats, 16)));
        }
    }

    #[inline(always)]
    unsafe fn quad(block: *const u8, group: usize, _phase: usize, quad: usize) -> S::Words {
        // SAFETY: the caller's.
        unsafe { S::xor(line::<S>(block, 1 + group * 8 + quad), S::words(0x8080_8080)) }
    }
}
