//! What happens to the sums of a tile before they leave the cache: bias, function or addition, rounding, storing.

use half::bf16;

use super::activation::{gelu_erf, gelu_tanh, silu};
use super::{Epilogue, Out, Then};
use crate::kernels::isa::Isa;
use crate::kernels::panels::PANEL_ROWS;

/// The most panels of a tile, which share a buffer of sums.
pub(super) const MOST_PANELS: usize = 4;

/// The results, for tasks that write to parts of it that are nobody else's.
pub(super) struct Sink {
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
    pub(super) fn new(out: Out<'_>, width: usize) -> Self {
        let (to, len) = match out {
            Out::F32(out) => (Pointer::F32(out.as_mut_ptr()), out.len()),
            Out::Bf16(out) => (Pointer::Bf16(out.as_mut_ptr()), out.len()),
        };
        Self { to, width, len }
    }

    /// Stores `count` outputs of a row from a column on.
    ///
    /// # Safety
    /// The memory that the sink was made of is still lent, and nobody else uses this part of it.
    #[inline(always)]
    unsafe fn store(&self, row: usize, column: usize, values: &[f32; PANEL_ROWS], count: usize) {
        let start = row * self.width + column;
        assert!(count <= PANEL_ROWS && start + count <= self.len);
        match self.to {
            Pointer::F32(to) => {
                // SAFETY: inside the memory by the assertion; the rest is the caller's.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(start), count) };
                match <&mut [f32; PANEL_ROWS]>::try_from(&mut *to) {
                    Ok(to) => *to = *values,
                    Err(_) => to.copy_from_slice(&values[..count]),
                }
            }
            Pointer::Bf16(to) => {
                // SAFETY: as above.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(start), count) };
                let rounded = values.map(round);
                match <&mut [bf16; PANEL_ROWS]>::try_from(&mut *to) {
                    Ok(to) => *to = rounded,
                    Err(_) => to.copy_from_slice(&rounded[..count]),
                }
            }
        }
    }
}

/// To the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub(super) fn round(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    let quiet = (bits >> 16) | 0x40;
    bf16::from_bits(if x.is_nan() { quiet } else { rounded } as u16)
}

/// The sums of some rows by some panels, and where they belong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<'a> {
    /// `[rows, panels, 16]`.
    pub(super) sums: &'a [f32],
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) first_panel: usize,
    pub(super) panels: usize,
}

/// Finishes a tile's sums and stores them.
///
/// # Safety
/// The memory of `sink` is still lent, and nobody else uses the tile's part of it.
pub(super) unsafe fn finish(isa: Isa, tile: &Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    match isa {
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it; the rest is the caller's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Bf16 => unsafe { finish_avx512(tile, epilogue, sink) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { finish_avx2(tile, epilogue, sink) },
        // SAFETY: the caller's.
        _ => unsafe { finish_in_vectors(tile, epilogue, sink) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn finish_avx512(tile: &Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    // SAFETY: the caller's.
    unsafe { finish_in_vectors(tile, epilogue, sink) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn finish_avx2(tile: &Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    // SAFETY: the caller's.
    unsafe { finish_in_vectors(tile, epilogue, sink) }
}

/// The same in arrays, of which the compiler makes vectors of the features of whoever calls it.
///
/// # Safety
/// See [`finish`].
#[inline(always)]
unsafe fn finish_in_vectors(tile: &Tile<'_>, epilogue: &Epilogue<'_>, sink: &Sink) {
    let (sums, _) = tile.sums.as_chunks::<PANEL_ROWS>();
    assert!(sums.len() >= tile.rows * tile.panels && tile.panels <= MOST_PANELS);
    let mut biases = [[0.0; PANEL_ROWS]; MOST_PANELS];
    if let Some(bias) = epilogue.bias {
        for (to, bias) in biases[..tile.panels].iter_mut().zip(bias[tile.first_panel * PANEL_ROWS..].chunks(PANEL_ROWS))
        {
            to[..bias.len()].copy_from_slice(bias);
        }
    }
    let step = if matches!(epilogue.then, Then::SiluTimes) { 2 } else { 1 };
    for (index, panels) in sums[..tile.rows * tile.panels].chunks_exact(tile.panels).enumerate() {
        let row = tile.first_row + index;
        for panel in (0..tile.panels).step_by(step) {
            let column = (tile.first_panel + panel) / step * PANEL_ROWS;
            let count = (sink.width - column).min(PANEL_ROWS);
            let mut values = add(&panels[panel], &biases[panel]);
            match epilogue.then {
                Then::Nothing => {}
                Then::GeluTanh => values = values.map(gelu_tanh),
                Then::GeluErf => values = values.map(gelu_erf),
                Then::Add(to) => {
                    let start = row * sink.width + column;
                    let to = &to[start..start + count];
                    match to.as_array::<PANEL_ROWS>() {
                        Some(to) => values = add(&values, to),
                        None => values.iter_mut().zip(to).for_each(|(value, to)| *value += to),
                    }
                }
                Then::SiluTimes => {
                    let up = add(&panels[panel + 1], &biases[panel + 1]);
                    values.iter_mut().zip(up).for_each(|(value, up)| *value = silu(*value) * up);
                }
            }
            // SAFETY: the caller's.
            unsafe { sink.store(row, column, &values, count) };
        }
    }
}

#[inline(always)]
fn add(a: &[f32; PANEL_ROWS], b: &[f32; PANEL_ROWS]) -> [f32; PANEL_ROWS] {
    std::array::from_fn(|lane| a[lane] + b[lane])
}
