//! What multiplies many rows: the functions of a format in a set of instructions.

use super::super::blocks::{Blocks, Q4K, Q5K, Q6K, Q8_0};
use super::super::format::Format;
use super::super::tile::for_format;
use super::tile::{Run, add_products};
use super::unpacked::{Unpack, unpack, unpacked_bytes};
use crate::kernels::isa::Isa;

/// The functions.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// The most rows of a tile. Twelve rows or more, cut into tiles of equal height, never make one of fewer than
    /// [`tile`](Self::tile) knows.
    pub(super) most_rows: usize,
    /// Bytes of so many columns of an unpacked panel.
    pub(super) unpacked_bytes: fn(usize) -> usize,
    pub(super) unpack: Unpack,
    /// The tile of so many rows.
    pub(super) tile: fn(usize) -> Run,
}

/// Defines `$name`, a [`Kernel`] of format `F` with the instructions of `$lanes`, whose tiles have `$rows`.
macro_rules! kernel {
    ($name:ident, $features:literal, $lanes:ty, $most:literal, $($rows:literal)*) => {
        fn $name<F: Blocks<$lanes>>() -> Kernel {
            /// # Safety
            /// See [`unpack`].
            #[target_feature(enable = $features)]
            unsafe fn unpack_panel<F: Blocks<$lanes>>(from: *const u8, columns: usize, to: *mut u8) {
                // SAFETY: the caller's.
                unsafe { unpack::<$lanes, F>(from, columns, to) }
            }

            /// # Safety
            /// See [`add_products`].
            #[target_feature(enable = $features)]
            unsafe fn run<F: Blocks<$lanes>, const M: usize>(
                panel: *const u8,
                blocks: usize,
                x: *const u32,
                sums: *mut f32,
                stride: usize,
            ) {
                // SAFETY: the caller's.
                unsafe { add_products::<$lanes, F, M>(panel, blocks, x, sums, stride) }
            }

            fn tile<F: Blocks<$lanes>>(rows: usize) -> Run {
                match rows {
                    $($rows => run::<F, $rows>,)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            }

            Kernel {
                most_rows: $most,
                unpacked_bytes: unpacked_bytes::<$lanes, F>,
                unpack: unpack_panel::<F>,
                tile: tile::<F>,
            }
        }
    };
}

#[cfg(target_arch = "aarch64")]
pub(super) use arm::kernel;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::kernel;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::super::lanes::{Avx2, Avx512};
    use super::*;

    // With as many integers and as many sums there are registers left for what is read.
    kernel!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", Avx512, 12, 7 8 9 10 11 12);
    // Integers take two of 16 registers a row. Sums wait in the cache.
    kernel!(avx2, "avx2,fma,f16c", Avx2, 6, 5 6);

    /// The functions of a set of instructions above the plain one.
    pub(in super::super) fn kernel(isa: Isa, format: Format) -> Kernel {
        assert_ne!(isa, Isa::Plain);
        if isa.multiplies_bytes() { for_format!(format, avx512)() } else { for_format!(format, avx2)() }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::super::lanes::Neon;
    use super::*;

    // Integers take four of 32 registers a row. Sums wait in the cache.
    kernel!(neon, "neon,dotprod", Neon, 6, 5 6);

    /// The functions of a set of instructions above the plain one.
    pub(in super::super) fn kernel(isa: Isa, format: Format) -> Kernel {
        assert_ne!(isa, Isa::Plain);
        for_format!(format, neon)()
    }
}
