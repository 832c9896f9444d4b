//! Memory of a thread for the tiles at work, kept from call to call.

use std::cell::RefCell;

/// Values of a cache line.
const LINE: usize = 16;

thread_local! {
    static MEMORY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Hands `work` slices of the given lengths, each at the start of a cache line. They hold what was left there.
pub(super) fn with<const N: usize, T>(lengths: [usize; N], work: impl FnOnce([&mut [f32]; N]) -> T) -> T {
    let total = LINE + lengths.iter().map(|length| length.next_multiple_of(LINE)).sum::<usize>();
    MEMORY.with_borrow_mut(|memory| {
        if memory.len() < total {
            memory.resize(total, 0.0);
        }
        let skipped = memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let mut rest = &mut memory[skipped..];
        work(lengths.map(|length| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(LINE));
            rest = after;
            &mut part[..length]
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_and_disjoint() {
        for lengths in [[3, 17, 0], [64, 1, 4099]] {
            with(lengths, |parts| {
                for (index, part) in parts.into_iter().enumerate() {
                    assert_eq!(part.len(), lengths[index]);
                    assert!(part.is_empty() || part.as_ptr().addr().is_multiple_of(64));
                    part.fill(index as f32);
                }
            });
        }
    }
}
