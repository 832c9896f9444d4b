//! Activations in 8 bits: 32 columns share a scale, the largest of them over 127.

use std::sync::{Mutex, PoisonError};

use crate::kernels::isa::Isa;
use crate::kernels::pool;

/// Columns that share a scale.
pub(super) const SHARED: usize = 32;

/// Fewer activations are rounded by one thread.
const TASK_VALUES: usize = 1 << 15;

/// Rows of activations, rounded. The numbers of a row, from -127 to 127, are followed by the scales, by the sums of the
/// numbers that share one, as f32, and by corrections, as i32: sums of the numbers of each group of the weights times
/// the weights' offset, negated.
#[derive(Debug, Default)]
pub(super) struct Rounded {
    words: Vec<u32>,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    columns: usize,
    /// What the numbers of the weights are too large by, and the columns of a group, where that is anything.
    offset: Option<(i32, usize)>,
}

impl Layout {
    fn words(self) -> usize {
        self.columns / 4 + 2 * (self.columns / SHARED) + self.offset.map_or(0, |(_, group)| self.columns / group)
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) numbers: &'a [i8],
    pub(super) scales: &'a [f32],
    pub(super) sums: &'a [f32],
}

/// The same in pointers, for tiles.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[derive(Clone, Copy)]
pub(super) struct Pointers {
    pub(super) numbers: *const i8,
    pub(super) scales: *const f32,
    pub(super) sums: *const f32,
    pub(super) corrections: *const i32,
}

impl Rounded {
    /// Rounds rows of so many columns. `offset` is the weights' with the columns of their groups, where they have one.
    pub(super) fn round(&mut self, isa: Isa, x: &[f32], columns: usize, offset: Option<(i32, usize)>) {
        assert!(offset.is_none_or(|(_, group)| group == SHARED || group == SHARED / 2));
        assert!(columns.is_multiple_of(SHARED) && x.len().is_multiple_of(columns), "{} by {columns}", x.len());
        self.layout = Layout { columns, offset };
        let row_words = self.layout.words();
        self.words.resize(x.len() / columns * row_words, 0);
        let layout = self.layout;
        if x.len() <= TASK_VALUES {
            round_rows(isa, layout, x, &mut self.words);
            return;
        }
        let rows = TASK_VALUES.div_ceil(columns);
        let parts: Vec<_> = self.words.chunks_mut(rows * row_words).map(Mutex::new).collect();
        pool::run(parts.len(), |task| {
            let x = &x[task * rows * columns..];
            let mut part = parts[task].lock().unwrap_or_else(PoisonError::into_inner);
            round_rows(isa, layout, &x[..part.len() / row_words * columns], &mut part);
        });
    }

    /// Where the parts of a row start.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(super) fn pointers(&self, index: usize) -> Pointers {
        let Layout { columns, .. } = self.layout;
        let words = self.layout.words();
        let row = self.words[index * words..][..words].as_ptr();
        let (scales, shared) = (columns / 4, columns / SHARED);
        // SAFETY: all parts lie inside the row, one after another.
        unsafe {
            Pointers {
                numbers: row.cast(),
                scales: row.add(scales).cast(),
                sums: row.add(scales + shared).cast(),
                corrections: row.add(scales + 2 * shared).cast(),
            }
        }
    }

    pub(super) fn row(&self, index: usize) -> Row<'_> {
        let words = self.layout.words();
        let Layout { columns, .. } = self.layout;
        let (numbers, rest) = self.words[index * words..][..words].split_at(columns / 4);
        let (scales, rest) = rest.split_at(columns / SHARED);
        let sums = &rest[..columns / SHARED];
        Row {
            numbers: bytemuck::cast_slice(numbers),
            scales: bytemuck::cast_slice(scales),
            sums: bytemuck::cast_slice(sums),
        }
    }
}

/// Rounds whole rows in the widest vectors of `isa`.
fn round_rows(isa: Isa, layout: Layout, x: &[f32], words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512(layout: Layout, x: &[f32], words: &mut [u32]) {
        in_vectors(layout, x, words);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(layout: Layout, x: &[f32], words: &mut [u32]) {
        in_vectors(layout, x, words);
    }
    match isa {
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe { avx512(layout, x, words) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(layout, x, words) },
        _ => in_vectors(layout, x, words),
    }
}

/// The same in arrays, of which the compiler makes vectors of the features of whoever calls it.
#[inline(always)]
fn in_vectors(layout: Layout, x: &[f32], words: &mut [u32]) {
    let columns = layout.columns;
    for (x, words) in x.chunks_exact(columns).zip(words.chunks_exact_mut(layout.words())) {
        let (numbers, rest) = words.split_at_mut(columns / 4);
        let (scales, rest) = rest.split_at_mut(columns / SHARED);
        let (sums, corrections) = rest.split_at_mut(columns / SHARED);
        let (numbers, _) = bytemuck::cast_slice_mut::<u32, i8>(numbers).as_chunks_mut::<SHARED>();
        for (index, x) in x.as_chunks::<SHARED>().0.iter().enumerate() {
            let (scale, halves) = round(x, &mut numbers[index]);
            (scales[index], sums[index]) = (scale.to_bits(), ((halves[0] + halves[1]) as f32).to_bits());
            if let Some((offset, group)) = layout.offset {
                let groups = SHARED / group;
                let to = &mut corrections[index * groups..][..groups];
                to.copy_from_slice(&offset_corrections(offset, group, halves)[..groups]);
            }
        }
    }
}

/// What the sums of each group of weights with an offset are corrected by, where `halves` are the sums of the numbers:
/// one correction for a group of all columns that share a scale, two for groups of half of them.
#[inline(always)]
pub(super) fn offset_corrections(offset: i32, group: usize, halves: [i32; 2]) -> [u32; 2] {
    let [first, second] = halves;
    let sums = if group == SHARED { [first + second, 0] } else { [first, second] };
    [(-offset * sums[0]).cast_unsigned(), (-offset * sums[1]).cast_unsigned()]
}

/// Rounds to the nearest multiples of the scale, ties to even. Returns the scale and the sums of both halves' numbers.
#[inline(always)]
pub(super) fn round(x: &[f32; SHARED], numbers: &mut [i8; SHARED]) -> (f32, [i32; 2]) {
    // Sizes compare as their bits do, and NaN is the largest.
    let largest = x.iter().map(|x| x.abs().to_bits()).fold(0, u32::max);
    let scale = f32::from_bits(largest) / 127.0;
    // What is smaller has no reciprocal.
    let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
    // In a sum of this size the last place is 1, and the lowest byte of its bits counts.
    const ROUNDING: f32 = 3.0 * (1 << 22) as f32;
    for (number, x) in numbers.iter_mut().zip(x) {
        *number = (x * inverse + ROUNDING).to_bits() as i8;
    }
    let (first, second) = numbers.split_at(SHARED / 2);
    let sum = |half: &[i8]| i32::from(half.iter().map(|&number| i16::from(number)).sum::<i16>());
    (scale, [sum(first), sum(second)])
}
