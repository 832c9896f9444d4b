//! Panels with a byte for each number: what it takes to read a format is done once for many rows.
//!
//! A panel is a run of groups: a line of scales, one of minima, if there are any, and lines of four columns, all as the
//! tiles take them.

use super::super::blocks::{Blocks, Scales, Visit, walk};
use super::super::format::LINE_BYTES;
use super::super::lanes::Lanes;
use super::Wide;

/// Lines of a group before its numbers.
pub(super) const fn first_quad<F: Blocks<Wide>>() -> usize {
    if F::OFFSET.is_none() { 2 } else { 1 }
}

/// Bytes of a group.
pub(super) const fn group_bytes<F: Blocks<Wide>>() -> usize {
    (first_quad::<F>() + F::GROUP / 4) * LINE_BYTES
}

/// Bytes of so many columns of a panel.
pub(super) fn unpacked_bytes<F: Blocks<Wide>>(columns: usize) -> usize {
    columns / F::GROUP * group_bytes::<F>()
}

/// Unpacks columns of a panel from the start of a block on: takes the block, how many columns, and where they go.
pub(super) type Unpack = unsafe fn(*const u8, usize, *mut u8);

/// # Safety
/// The instructions are there; the columns' blocks are whole and of the format; there is room for [`unpacked_bytes`];
/// both are 64-byte aligned.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) unsafe fn unpack<F: Blocks<Wide>>(from: *const u8, columns: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { walk::<Wide, F, 1>(&[from], columns, &mut To(to)) }
}

/// Where the next group goes.
struct To(*mut u8);

impl<F: Blocks<Wide>> Visit<Wide, F, 1> for To {
    #[inline(always)]
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; 1],
        scales: &[Scales<Wide>; 1],
        group: usize,
        phase: usize,
        _column: usize,
    ) {
        // SAFETY: the caller's; there is room for all groups.
        unsafe {
            let (scale, minimum) = scales[0].group::<F>(group);
            Wide::store_words(Wide::bits(scale), self.0);
            if F::OFFSET.is_none() {
                Wide::store_words(Wide::bits(minimum), self.0.add(LINE_BYTES));
            }
            for quad in 0..F::GROUP / 4 {
                let to = self.0.add((first_quad::<F>() + quad) * LINE_BYTES);
                Wide::store_words(F::quad(blocks[0], group, phase, quad), to);
            }
            self.0 = self.0.add(group_bytes::<F>());
        }
    }
}
