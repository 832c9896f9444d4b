//! Panels with a byte for each number: what it takes to read a format is done once for many rows.
//!
//! A panel is a run of groups: a line of scales, one of minima, if there are any, and lines of four columns, all as the
//! tiles take them.

use super::super::blocks::{Blocks, Scales, Visit, walk};
use super::super::format::LINE_BYTES;
use super::super::lanes::Lanes;

/// Lines of a group before its numbers.
pub(super) const fn first_quad<S: Lanes, F: Blocks<S>>() -> usize {
    if F::OFFSET.is_none() { 2 } else { 1 }
}

/// Bytes of a group.
pub(super) const fn group_bytes<S: Lanes, F: Blocks<S>>() -> usize {
    (first_quad::<S, F>() + F::GROUP / 4) * LINE_BYTES
}

/// Bytes of so many columns of a panel.
pub(super) fn unpacked_bytes<S: Lanes, F: Blocks<S>>(columns: usize) -> usize {
    columns / F::GROUP * group_bytes::<S, F>()
}

/// Unpacks columns of a panel from the start of a block on: takes the block, how many columns, and where they go.
pub(super) type Unpack = unsafe fn(*const u8, usize, *mut u8);

/// The work of an [`Unpack`].
///
/// # Safety
/// `S`'s instructions are there; the columns' blocks are whole and of the format; there is room for
/// [`unpacked_bytes`]; both are 64-byte aligned.
#[inline(always)]
pub(super) unsafe fn unpack<S: Lanes, F: Blocks<S>>(from: *const u8, columns: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { walk::<S, F, 1>(&[from], columns, &mut To(to)) }
}

/// Where the next group goes.
struct To(*mut u8);

impl<S: Lanes, F: Blocks<S>> Visit<S, F, 1> for To {
    #[inline(always)]
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; 1],
        scales: &[Scales<S>; 1],
        group: usize,
        phase: usize,
        _column: usize,
    ) {
        // SAFETY: the caller's; there is room for all groups.
        unsafe {
            let (scale, minimum) = scales[0].group::<F>(group);
            S::store_words(S::bits(scale), self.0);
            if F::OFFSET.is_none() {
                S::store_words(S::bits(minimum), self.0.add(LINE_BYTES));
            }
            for quad in 0..F::GROUP / 4 {
                let to = self.0.add((first_quad::<S, F>() + quad) * LINE_BYTES);
                S::store_words(F::quad(blocks[0], group, phase, quad), to);
            }
            self.0 = self.0.add(group_bytes::<S, F>());
        }
    }
}
