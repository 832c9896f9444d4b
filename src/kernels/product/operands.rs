//! Activations as the tiles read them: f32 for exact products, bf16 in whole pairs for those of bf16. What is not so
//! already is written to a buffer first, which the thread keeps for the next product.

use std::cell::Cell;

use half::bf16;

use super::Rows;
use super::shape::MOST_ROWS;
use super::vectors::{self, round};
use crate::kernels::isa::Isa;
use crate::kernels::out::{Disjoint, Value};
use crate::kernels::pool;

/// Rows ready for the tiles, and how far apart they start.
#[derive(Clone, Copy)]
pub(super) enum Ready<'a> {
    F32(&'a [f32], usize),
    /// An even number of values apart, zeros between.
    Bf16(&'a [bf16], usize),
}

impl Ready<'_> {
    /// Brings the beginnings of rows into the cache, where the processor does not expect them to be read.
    pub(super) fn prefetch(self, first_row: usize, rows: usize) {
        const LINES: usize = 2;
        for row in first_row..first_row + rows {
            match self {
                Ready::F32(x, stride) => vectors::prefetch(x.as_ptr().wrapping_add(row * stride), LINES * 16),
                Ready::Bf16(x, stride) => vectors::prefetch(x.as_ptr().wrapping_add(row * stride), LINES * 32),
            }
        }
    }
}

/// What the tiles multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    F32,
    /// Values that bf16 holds, as f32.
    F32OfBf16,
    Bf16,
}

/// A buffer above this many bytes is given back after its product.
const KEPT_BYTES: usize = 64 << 20;
/// Values that a task converts.
const VALUES_PER_TASK: usize = 1 << 14;

thread_local! {
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static NARROW: Cell<Vec<bf16>> = const { Cell::new(Vec::new()) };
}

/// Calls `multiply` with the rows as they are wanted.
pub(super) fn with_ready(isa: Isa, x: Rows<'_>, columns: usize, wanted: Wanted, multiply: impl FnOnce(Ready<'_>)) {
    let few = |len: usize| len / columns <= MOST_ROWS;
    let pairs = columns.is_multiple_of(2);
    match (x, wanted) {
        (Rows::F32(x), Wanted::F32) if few(x.len()) || !collides::<f32>(columns) => multiply(Ready::F32(x, columns)),
        (Rows::Bf16(x), Wanted::Bf16) if pairs && (few(x.len()) || !collides::<bf16>(columns)) => {
            multiply(Ready::Bf16(x, columns))
        }
        (Rows::F32(x), Wanted::F32) => with_buffer(&WIDE, 0.0, x, columns, copy, |x, stride| {
            multiply(Ready::F32(x, stride));
        }),
        (Rows::F32(x), Wanted::F32OfBf16) => {
            let convert = |to: &mut [f32], x: &[f32]| narrow_and_widen(isa, to, x);
            with_buffer(&WIDE, 0.0, x, columns, convert, |x, stride| multiply(Ready::F32(x, stride)));
        }
        (Rows::Bf16(x), Wanted::F32 | Wanted::F32OfBf16) => {
            let convert = |to: &mut [f32], x: &[bf16]| widen(isa, to, x);
            with_buffer(&WIDE, 0.0, x, columns, convert, |x, stride| multiply(Ready::F32(x, stride)));
        }
        (Rows::F32(x), Wanted::Bf16) => {
            let convert = |to: &mut [bf16], x: &[f32]| narrow(isa, to, x);
            with_buffer(&NARROW, bf16::ZERO, x, columns, convert, |x, stride| multiply(Ready::Bf16(x, stride)));
        }
        (Rows::Bf16(x), Wanted::Bf16) => with_buffer(&NARROW, bf16::ZERO, x, columns, copy, |x, stride| {
            multiply(Ready::Bf16(x, stride));
        }),
    }
}

fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    to.copy_from_slice(from);
}

/// Whether rows so far apart fall on the same few places of the first cache, which then cannot hold those of a tile.
fn collides<T>(stride: usize) -> bool {
    (stride * size_of::<T>()).is_multiple_of(4096)
}

/// Writes each row of `x` by `convert` to a thread's buffer, with zeros between the rows, and lends it with how far
/// apart they are.
fn with_buffer<X: Copy + Sync, T: Copy + Send + Sync>(
    buffer: &'static std::thread::LocalKey<Cell<Vec<T>>>,
    zero: T,
    x: &[X],
    columns: usize,
    convert: impl Fn(&mut [T], &[X]) + Sync,
    multiply: impl FnOnce(&[T], usize),
) {
    const LINE: usize = 64;
    let mut stride = columns.next_multiple_of(2);
    if collides::<T>(stride) {
        stride += LINE / size_of::<T>();
    }
    let mut values = buffer.take();
    values.resize(x.len() / columns * stride, zero);
    let rows_per_task = VALUES_PER_TASK.div_ceil(columns);
    let (len, part) = (values.len(), rows_per_task * stride);
    let parts = Disjoint::new(&mut values);
    pool::run(len.div_ceil(part), |task| {
        let start = task * part;
        // SAFETY: each task runs once and takes its own part.
        let to = unsafe { parts.part(start, part.min(len - start)) };
        let from = x[task * rows_per_task * columns..].chunks_exact(columns);
        for (to, from) in to.chunks_exact_mut(stride).zip(from) {
            let (to, pad) = to.split_at_mut(columns);
            convert(to, from);
            pad.fill(zero);
        }
    });
    multiply(&values, stride);
    if size_of_val(values.as_slice()) <= KEPT_BYTES {
        buffer.set(values);
    }
}

/// Defines a loop over two slices in the widest vectors of `isa`.
macro_rules! in_vectors {
    ($(#[$doc:meta])* $name:ident, $to:ty, $from:ty, $each:expr) => {
        $(#[$doc])*
        fn $name(isa: Isa, to: &mut [$to], from: &[$from]) {
            #[inline(always)]
            fn each(to: &mut [$to], from: &[$from]) {
                // Not `for_each`, whose closure is not compiled for the features of the caller.
                for (to, from) in to.iter_mut().zip(from) {
                    *to = $each(*from);
                }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512(to: &mut [$to], from: &[$from]) {
                each(to, from);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2(to: &mut [$to], from: &[$from]) {
                each(to, from);
            }
            match isa {
                // SAFETY: an `Isa` other than the plain one is only made where the machine has it.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe { avx512(to, from) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2(to, from) },
                _ => each(to, from),
            }
        }
    };
}

in_vectors!(
    /// Rounds to bf16.
    narrow, bf16, f32, round
);
in_vectors!(
    /// Rounds to what bf16 holds.
    narrow_and_widen, f32, f32, |x| round(x).widened()
);
in_vectors!(
    /// Widens, exactly.
    widen, f32, bf16, bf16::widened
);
