//! A few rows of activations by a few panels, exactly: weights are widened in registers, nothing is rounded before it
//! is multiplied. Each output is one chain of additions over the columns in order, as in
//! [`product`](crate::kernels::product).

use super::blocks::{Blocks, Q4K, Q5K, Q6K, Q8_0, Scales, Visit, byte, walk};
use super::format::Format;
use super::lanes::Lanes;
use super::tile::{Tile, Tiles, define_tiles, for_format};
use crate::kernels::isa::Isa;

/// The sums of `M` rows and `P` panels.
struct Sums<S: Lanes, const M: usize, const P: usize> {
    x: [*const f32; M],
    sums: [[S::Floats; P]; M],
}

impl<S: Lanes, F: Blocks<S>, const M: usize, const P: usize> Visit<S, F, P> for Sums<S, M, P> {
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "iterators' closures might not be inlined, and loops look alike")]
    unsafe fn group(
        &mut self,
        blocks: &[*const u8; P],
        scales: &[Scales<S>; P],
        group: usize,
        phase: usize,
        column: usize,
    ) {
        // SAFETY: the caller's; each of `x` has as many values as the panels have columns.
        unsafe {
            let zero = S::splat(0.0);
            let mut of = [(zero, zero); P];
            for panel in 0..P {
                of[panel] = scales[panel].group::<F>(group);
            }
            for quad in 0..F::GROUP / 4 {
                let mut numbers = [S::words(0); P];
                for panel in 0..P {
                    numbers[panel] = F::quad(blocks[panel], group, phase, quad);
                }
                for index in 0..4 {
                    let mut x = [zero; M];
                    for row in 0..M {
                        x[row] = S::splat(*self.x[row].add(column + quad * 4 + index));
                    }
                    for panel in 0..P {
                        let number = S::to_floats(byte::<S>(numbers[panel], index));
                        let weight = S::mul_sub(number, of[panel].0, of[panel].1);
                        for row in 0..M {
                            self.sums[row][panel] = S::mul_add(weight, x[row], self.sums[row][panel]);
                        }
                    }
                }
            }
        }
    }
}

/// The sums of `M` rows and `P` panels, `[M, P, 16]`.
///
/// # Safety
/// `S`'s instructions are there; each of `panels` is a whole one of `columns` columns, 64-byte aligned, and each of `x`
/// has as many values.
#[inline(always)]
unsafe fn tile<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    panels: &[*const u8; P],
    columns: usize,
    x: [*const f32; M],
) -> [[S::Floats; P]; M] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = Sums::<S, M, P> { x, sums: [[S::splat(0.0); P]; M] };
        walk::<S, F, P>(panels, columns, &mut sums);
        sums.sums
    }
}

/// The tiles of a set of instructions above the plain one.
#[cfg(target_arch = "aarch64")]
pub(super) use arm::tiles;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::tiles;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512};
    use super::*;

    define_tiles!(avx2, "avx2,fma,f16c", Avx2, *const f32);
    define_tiles!(avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512, *const f32);

    fn tile_avx512<F: Blocks<Avx512>>(rows: usize) -> Tile<*const f32> {
        match rows {
            0..2 => Tile { rows: 1, panels: 4, run: avx512::<F, 1, 4> },
            2..4 => Tile { rows: 2, panels: 4, run: avx512::<F, 2, 4> },
            4..8 => Tile { rows: 4, panels: 4, run: avx512::<F, 4, 4> },
            _ => Tile { rows: 8, panels: 2, run: avx512::<F, 8, 2> },
        }
    }

    fn tile_avx2<F: Blocks<Avx2>>(rows: usize) -> Tile<*const f32> {
        match rows {
            0..2 => Tile { rows: 1, panels: 2, run: avx2::<F, 1, 2> },
            2..4 => Tile { rows: 2, panels: 2, run: avx2::<F, 2, 2> },
            _ => Tile { rows: 4, panels: 1, run: avx2::<F, 4, 1> },
        }
    }

    pub(in super::super) fn tiles(isa: Isa, format: Format) -> Tiles<*const f32> {
        assert_ne!(isa, Isa::Plain);
        if isa >= Isa::Avx512 { for_format!(format, tile_avx512) } else { for_format!(format, tile_avx2) }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::lanes::Neon;
    use super::*;

    define_tiles!(neon, "neon", Neon, *const f32);

    fn tile_neon<F: Blocks<Neon>>(rows: usize) -> Tile<*const f32> {
        match rows {
            0..2 => Tile { rows: 1, panels: 2, run: neon::<F, 1, 2> },
            2..4 => Tile { rows: 2, panels: 1, run: neon::<F, 2, 1> },
            _ => Tile { rows: 4, panels: 1, run: neon::<F, 4, 1> },
        }
    }

    pub(in super::super) fn tiles(isa: Isa, format: Format) -> Tiles<*const f32> {
        assert_ne!(isa, Isa::Plain);
        for_format!(format, tile_neon)
    }
}
