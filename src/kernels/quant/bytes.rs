//! A few rows of activations in 8 bits by a few panels, in products of bytes. Integer sums of a group are exact; then
//! `(scale * sum - minimum * activations) * activations' scale` is added in f32, in the order of the columns.

use super::blocks::{Blocks, Q4K, Q5K, Q6K, Q8_0, Scales, Visit, walk};
use super::format::Format;
use super::lanes::Lanes;
use super::rounded::{Pointers, SHARED};
use super::tile::{Tile, Tiles, define_tiles, for_format};
use crate::kernels::isa::Isa;

/// The sums of `M` rows and `P` panels.
struct Sums<S: Lanes, const M: usize, const P: usize> {
    x: [Pointers; M],
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
        let wide = F::OFFSET == Some(128);
        let corrected = F::OFFSET.is_some() && !(wide && S::WIDE_IS_SIGNED);
        // SAFETY: the caller's; each of `x` has as many values as the panels have columns, and was rounded for `F`.
        unsafe {
            let mut dots = [[S::words(0); P]; M];
            if corrected {
                for row in 0..M {
                    let correction = self.x[row].corrections.add(column / F::GROUP).read();
                    dots[row] = [S::words(correction.cast_unsigned()); P];
                }
            }
            for quad in 0..F::GROUP / 4 {
                let mut numbers = [S::words(0); P];
                for panel in 0..P {
                    numbers[panel] = F::quad(blocks[panel], group, phase, quad);
                }
                for row in 0..M {
                    let x = self.x[row].numbers.add(column + quad * 4);
                    for panel in 0..P {
                        let (dots, numbers) = (&mut dots[row][panel], numbers[panel]);
                        *dots = if wide { S::dot_wide(*dots, numbers, x) } else { S::dot(*dots, numbers, x) };
                    }
                }
            }
            let shared = column / SHARED;
            for row in 0..M {
                let x_scale = S::splat(*self.x[row].scales.add(shared));
                for panel in 0..P {
                    let mut sum = S::mul(S::to_floats(dots[row][panel]), scales[panel].scale(group));
                    if F::OFFSET.is_none() {
                        let x_sum = S::splat(*self.x[row].sums.add(shared));
                        sum = S::neg_mul_add(x_sum, scales[panel].minimum(group), sum);
                    }
                    self.sums[row][panel] = S::mul_add(sum, x_scale, self.sums[row][panel]);
                }
            }
        }
    }
}

/// The sums of `M` rows and `P` panels, `[M, P, 16]`.
///
/// # Safety
/// `S`'s instructions are there; each of `panels` is a whole one of `columns` columns, 64-byte aligned, and each of `x`
/// a row of as many, rounded for `F`.
#[inline(always)]
unsafe fn tile<S: Lanes, F: Blocks<S>, const M: usize, const P: usize>(
    panels: &[*const u8; P],
    columns: usize,
    x: [Pointers; M],
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

    define_tiles!(avx2, "avx2,fma,f16c", Avx2, Pointers);
    define_tiles!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", Avx512, Pointers);

    // One panel, whatever the rows: it is one stream for the processor to foresee, and scales and sums of two take more
    // registers than there are.
    fn tile_avx512<F: Blocks<Avx512>>(rows: usize) -> Tile<Pointers> {
        match rows {
            0..2 => Tile { rows: 1, panels: 1, run: avx512::<F, 1, 1> },
            2..4 => Tile { rows: 2, panels: 1, run: avx512::<F, 2, 1> },
            4..8 => Tile { rows: 4, panels: 1, run: avx512::<F, 4, 1> },
            _ => Tile { rows: 8, panels: 1, run: avx512::<F, 8, 1> },
        }
    }

    fn tile_avx2<F: Blocks<Avx2>>(rows: usize) -> Tile<Pointers> {
        match rows {
            0..2 => Tile { rows: 1, panels: 1, run: avx2::<F, 1, 1> },
            2..4 => Tile { rows: 2, panels: 1, run: avx2::<F, 2, 1> },
            _ => Tile { rows: 4, panels: 1, run: avx2::<F, 4, 1> },
        }
    }

    pub(in super::super) fn tiles(isa: Isa, format: Format) -> Tiles<Pointers> {
        assert_ne!(isa, Isa::Plain);
        if isa.multiplies_bytes() { for_format!(format, tile_avx512) } else { for_format!(format, tile_avx2) }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::lanes::Neon;
    use super::*;

    define_tiles!(neon, "neon,dotprod", Neon, Pointers);

    fn tile_neon<F: Blocks<Neon>>(rows: usize) -> Tile<Pointers> {
        match rows {
            0..2 => Tile { rows: 1, panels: 1, run: neon::<F, 1, 1> },
            2..4 => Tile { rows: 2, panels: 1, run: neon::<F, 2, 1> },
            _ => Tile { rows: 4, panels: 1, run: neon::<F, 4, 1> },
        }
    }

    pub(in super::super) fn tiles(isa: Isa, format: Format) -> Tiles<Pointers> {
        assert_ne!(isa, Isa::Plain);
        for_format!(format, tile_neon)
    }
}
