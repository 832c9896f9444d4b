//! What happens to the sums of a tile before they leave the cache: bias, function or addition, rounding, storing.

use half::bf16;

use super::activation::{gelu_erf, gelu_tanh, silu};
use super::vectors::{self, Vectors, round};
use super::{Epilogue, Out, Then};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;

/// The most panels of a tile, which share a buffer of sums.
pub(in crate::kernels) const MOST_PANELS: usize = 4;

/// The results, for tasks that write to parts of it that are nobody else's.
pub(in crate::kernels) struct Sink {
    to: Pointer,
    width: usize,
    len: usize,
}

#[derive(Clone, Copy)]
enum Pointer {
    F32(*mut f32),
    Bf16(*mut bf16),
}

// SAFETY: it is a pointer to plain numbers; whoever calls `finish` answers for the parts that it writes.
unsafe impl Sync for Sink {}

impl Sink {
    pub(in crate::kernels) fn new(out: Out<'_>, width: usize) -> Self {
        let (to, len) = match out {
            Out::F32(out) => (Pointer::F32(out.as_mut_ptr()), out.len()),
            Out::Bf16(out) => (Pointer::Bf16(out.as_mut_ptr()), out.len()),
        };
        Self { to, width, len }
    }

    /// Stores `count` outputs from `start` on.
    ///
    /// # Safety
    /// The memory that the sink was made of is still lent, nobody else uses this part of it, and the caller has the
    /// features of `V`.
    #[inline(always)]
    unsafe fn store<'a, V: Vectors>(
        &self,
        start: usize,
        count: usize,
        values: impl Iterator<Item = &'a [f32; PANEL_ROWS]>,
    ) {
        assert!(start + count <= self.len);
        match self.to {
            Pointer::F32(to) => {
                // SAFETY: inside the memory by the assertion; the rest is the caller's.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(start), count) };
                for (to, values) in to.chunks_mut(PANEL_ROWS).zip(values) {
                    match <&mut [f32; PANEL_ROWS]>::try_from(&mut *to) {
                        Ok(to) => *to = *values,
                        Err(_) => {
                            for (to, value) in to.iter_mut().zip(values) {
                                *to = *value;
                            }
                        }
                    }
                }
            }
            Pointer::Bf16(to) => {
                // SAFETY: as above.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(start), count) };
                for (to, values) in to.chunks_mut(PANEL_ROWS).zip(values) {
                    match <&mut [bf16; PANEL_ROWS]>::try_from(&mut *to) {
                        // SAFETY: the caller has the features of V.
                        Ok(to) => unsafe { V::round(values, to) },
                        Err(_) => {
                            for (to, value) in to.iter_mut().zip(values) {
                                *to = round(*value);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where some columns of consecutive rows lie: the first byte in the first row, bytes from it to the last in that row,
/// and bytes from row to row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) first: *const u8,
    pub(super) last_bytes: usize,
    pub(super) row_bytes: usize,
}

impl Place {
    fn new<T>(values: *const T, start: usize, count: usize, width: usize) -> Self {
        let first = values.wrapping_add(start).cast();
        Self { first, last_bytes: count * size_of::<T>() - 1, row_bytes: width * size_of::<T>() }
    }
}

/// What [`finish`] will write for the rows from one on by some panels, and what it will add.
pub(super) fn places(
    first_row: usize,
    first_panel: usize,
    panels: usize,
    epilogue: &Epilogue<'_>,
    sink: &Sink,
) -> (Place, Option<Place>) {
    let step = if matches!(epilogue.then, Then::SiluTimes) { 2 } else { 1 };
    let column = first_panel / step * PANEL_ROWS;
    let count = (panels / step * PANEL_ROWS).min(sink.width - column);
    let start = first_row * sink.width + column;
    let written = match sink.to {
        Pointer::F32(to) => Place::new(to, start, count, sink.width),
        Pointer::Bf16(to) => Place::new(to, start, count, sink.width),
    };
    let added = match epilogue.then {
        Then::Add(to) => Some(Place::new(to.as_ptr(), start, count, sink.width)),
        _ => None,
    };
    (written, added)
}

/// The processor foresees rows that are no further apart than a page; to ask for them only takes time.
const FORESEEN_BYTES: usize = 4 << 10;

/// Brings what [`finish`] will read and write for some rows and panels into the cache while their sums are made: stores
/// that miss it would hold up the next tile.
pub(super) fn prefetch(
    first_row: usize,
    rows: usize,
    first_panel: usize,
    panels: usize,
    epilogue: &Epilogue<'_>,
    sink: &Sink,
) {
    let (written, added) = places(first_row, first_panel, panels, epilogue, sink);
    if written.row_bytes <= FORESEEN_BYTES {
        return;
    }
    for row in 0..rows {
        for place in [Some(written), added].into_iter().flatten() {
            vectors::prefetch(place.first.wrapping_add(row * place.row_bytes), place.last_bytes + 1);
        }
    }
}

/// The sums of some rows by some panels, and where they belong.
#[derive(Debug)]
pub(in crate::kernels) struct Tile<'a> {
    /// `[rows, panels, 16]`.
    pub(in crate::kernels) sums: &'a mut [f32],
    pub(in crate::kernels) first_row: usize,
    pub(in crate::kernels) rows: usize,
    pub(in crate::kernels) first_panel: usize,
    pub(in crate::kernels) panels: usize,
}

/// Finishes a tile's sums and stores them.
///
/// # Safety
/// The memory of `sink` is still lent, and nobody else uses the tile's part of it.
pub(in crate::kernels) unsafe fn finish(isa: Isa, tile: &mut Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    match isa {
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it; the rest is the caller's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe { finish_avx512(tile, epilogue, sink) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { finish_avx2(tile, epilogue, sink) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { finish_neon(tile, epilogue, sink) },
        // SAFETY: the caller's.
        _ => unsafe { finish_in_vectors::<vectors::Plain>(tile, epilogue, sink) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn finish_avx512(tile: &mut Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    // SAFETY: the caller's.
    unsafe { finish_in_vectors::<vectors::Avx512>(tile, epilogue, sink) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn finish_avx2(tile: &mut Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    // SAFETY: the caller's.
    unsafe { finish_in_vectors::<vectors::Avx2>(tile, epilogue, sink) }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn finish_neon(tile: &mut Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    // SAFETY: the caller's.
    unsafe { finish_in_vectors::<vectors::Neon>(tile, epilogue, sink) }
}

/// The same in arrays, of which the compiler makes vectors of the features of whoever calls it.
///
/// # Safety
/// See [`finish`]; the caller has the features of `V`.
#[inline(always)]
unsafe fn finish_in_vectors<V: Vectors>(tile: &mut Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    let (sums, _) = tile.sums.as_chunks_mut::<PANEL_ROWS>();
    let sums = &mut sums[..tile.rows * tile.panels];
    if let Some(bias) = epilogue.bias {
        let mut biases = [[0.0; PANEL_ROWS]; MOST_PANELS];
        let to = biases.as_flattened_mut();
        let bias = &bias[tile.first_panel * PANEL_ROWS..];
        let count = bias.len().min(tile.panels * PANEL_ROWS);
        to[..count].copy_from_slice(&bias[..count]);
        for sums in sums.chunks_exact_mut(tile.panels) {
            for (sums, bias) in sums.iter_mut().zip(&biases) {
                // SAFETY: the caller has the features of V.
                unsafe { V::add(sums, bias) };
            }
        }
    }
    let step = match epilogue.then {
        Then::Nothing | Then::Add(_) => 1,
        Then::GeluTanh => {
            for sums in sums.iter_mut() {
                each(sums, gelu_tanh);
            }
            1
        }
        Then::GeluErf => {
            for sums in sums.iter_mut() {
                each(sums, gelu_erf);
            }
            1
        }
        Then::SiluTimes => {
            let (pairs, _) = sums.as_chunks_mut::<2>();
            for [gate, up] in pairs {
                for (gate, up) in gate.iter_mut().zip(up) {
                    *gate = silu(*gate) * *up;
                }
            }
            2
        }
    };
    let first = tile.first_panel / step * PANEL_ROWS;
    let count = (tile.panels / step * PANEL_ROWS).min(sink.width - first);
    for (index, sums) in sums.chunks_exact_mut(tile.panels).enumerate() {
        let start = (tile.first_row + index) * sink.width + first;
        if let Then::Add(to) = epilogue.then {
            let (to, rest) = to[start..start + count].as_chunks::<PANEL_ROWS>();
            for (sums, to) in sums.iter_mut().zip(to) {
                // SAFETY: as above.
                unsafe { V::add(sums, to) };
            }
            if let Some(sums) = sums.get_mut(to.len()) {
                for (sum, to) in sums.iter_mut().zip(rest) {
                    *sum += to;
                }
            }
        }
        // SAFETY: the caller's.
        unsafe { sink.store::<V>(start, count, sums.iter().step_by(step)) };
    }
}

// A loop in place of methods with closures, which are not compiled for their callers' features.
#[inline(always)]
fn each(values: &mut [f32; PANEL_ROWS], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}
