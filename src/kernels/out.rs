//! Where kernels write values: f32 as computed, or bf16 rounded to nearest, ties to even.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use half::bf16;

use super::pool;

/// Room for a kernel's result.
#[derive(Debug)]
pub(crate) enum Out<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [bf16]),
}

impl Out<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::F32(values) => values.is_empty(),
            Self::Bf16(values) => values.is_empty(),
        }
    }

    /// The first `len` values, and the rest.
    pub(crate) fn split_at(self, len: usize) -> (Self, Self) {
        match self {
            Self::F32(values) => {
                let (first, rest) = values.split_at_mut(len);
                (Self::F32(first), Self::F32(rest))
            }
            Self::Bf16(values) => {
                let (first, rest) = values.split_at_mut(len);
                (Self::Bf16(first), Self::Bf16(rest))
            }
        }
    }
}

/// What results are stored as, and activations.
pub(crate) trait Value: Copy + Send + Sync {
    /// The value nearest to `x`.
    fn of(x: f32) -> Self;

    /// The same as f32.
    fn widened(self) -> f32;
}

impl Value for f32 {
    #[inline(always)]
    fn of(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }
}

impl Value for bf16 {
    /// Without branches, unlike `bf16::from_f32`, so that loops over it become vector instructions.
    #[inline(always)]
    fn of(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet_nan = (bits >> 16) | 0x40;
        Self::from_bits(if x.is_nan() { quiet_nan } else { rounded } as u16)
    }

    /// Without branches, as above.
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// A slice of which tasks write parts that do not overlap.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: threads only get at the values through `part`, whose callers keep their parts apart; so this is as if each
// thread were sent its part.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), owner: PhantomData }
    }

    /// The `len` values from `start` on.
    ///
    /// # Safety
    /// No two parts that are in use at the same time overlap.
    #[allow(clippy::mut_from_ref, reason = "that the parts do not overlap is what the caller promises")]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "{start}+{len} of {}", self.len);
        // SAFETY: in bounds of a slice that is borrowed mutably as long as `self` lives; by the caller's promise no
        // other reference to this part is in use.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

/// Bytes that one task of [`zeros`] clears.
const ZEROS_TASK_BYTES: usize = 256 << 10;

/// Zeros for a result, cleared by all threads. Kernels write every value, but safe code lends no memory unwritten.
pub(crate) fn zeros<T: bytemuck::Zeroable + Copy + Send>(len: usize) -> Vec<T> {
    let task_len = ZEROS_TASK_BYTES / size_of::<T>();
    let mut values = Vec::with_capacity(len);
    let spare = Disjoint::new(&mut values.spare_capacity_mut()[..len]);
    pool::run(len.div_ceil(task_len), |task| {
        let start = task * task_len;
        // SAFETY: each task runs once and takes its own part.
        let part = unsafe { spare.part(start, task_len.min(len - start)) };
        part.fill(MaybeUninit::new(T::zeroed()));
    });
    // SAFETY: the tasks have written all of them.
    unsafe { values.set_len(len) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_as_many_as_asked_for() {
        for len in [0, 1, ZEROS_TASK_BYTES / 4, ZEROS_TASK_BYTES / 4 + 1, 1_000_003] {
            drop(vec![1f32; len]);
            let zeros = zeros::<f32>(len);
            assert!(zeros.len() == len && zeros.iter().all(|&zero| zero == 0.0), "{len}");
        }
    }

    #[test]
    fn bf16_is_rounded_as_half_does() {
        // All upper halves, with the lower halves where rounding changes.
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(u32::from(high) << 16 | low);
                assert_eq!(<bf16 as Value>::of(x).to_bits(), bf16::from_f32(x).to_bits(), "{x:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "3+2 of 4")]
    fn a_part_beyond_the_end_is_refused() {
        let mut values = [0u8; 4];
        let values = Disjoint::new(&mut values);
        // SAFETY: the only part.
        unsafe { values.part(3, 2) }.fill(1);
    }
}
