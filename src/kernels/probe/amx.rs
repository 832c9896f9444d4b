//! Loops of multiply-add in the tiles of the matrix unit.

use std::arch::asm;

use crate::kernels::amx::{TILE_ROWS, Tiles};

/// Tiles of sums that are added to in turns.
pub(super) const ACCUMULATORS: usize = 4;

/// Bytes of a tile.
const TILE_BYTES: usize = 1024;

/// Multiplies two tiles by two, so many times; the operands are 1024 bytes each, so are the sums.
macro_rules! burst {
    ($multiply:literal, $ones:ident, $sums:ident, $steps:ident) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tileloadd tmm4, [{ones} + {line}*1]",
            "tileloadd tmm5, [{ones} + {line}*1]",
            "tileloadd tmm6, [{ones} + {line}*1]",
            "tileloadd tmm7, [{ones} + {line}*1]",
            "2:",
            concat!($multiply, " tmm0, tmm4, tmm6"),
            concat!($multiply, " tmm1, tmm4, tmm7"),
            concat!($multiply, " tmm2, tmm5, tmm6"),
            concat!($multiply, " tmm3, tmm5, tmm7"),
            "dec {steps:e}",
            "jnz 2b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            "tilestored [{sums} + {line}*1 + 2048], tmm2",
            "tilestored [{sums} + {line}*1 + 3072], tmm3",
            ones = in(reg) $ones.as_ptr(),
            sums = in(reg) $sums.as_mut_ptr(),
            steps = inout(reg) $steps => _,
            line = in(reg) TILE_BYTES / TILE_ROWS,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        )
    };
}

/// Products of bf16, at least one.
///
/// # Safety
/// The machine has tiles.
pub(super) unsafe fn bf16(steps: u32) -> f64 {
    let ones = [half::bf16::ONE; TILE_BYTES / 2];
    let mut sums = [0f32; ACCUMULATORS * TILE_BYTES / 4];
    // SAFETY: the caller's; operands and sums are whole tiles.
    unsafe {
        let _tiles = Tiles::set_up(TILE_ROWS);
        burst!("tdpbf16ps", ones, sums, steps);
    }
    sums.iter().map(|&sum| f64::from(sum)).sum()
}

/// Products of bytes, at least one.
///
/// # Safety
/// The machine has tiles.
pub(super) unsafe fn int8(steps: u32) -> f64 {
    let ones = [1u8; TILE_BYTES];
    let mut sums = [0i32; ACCUMULATORS * TILE_BYTES / 4];
    // SAFETY: as above.
    unsafe {
        let _tiles = Tiles::set_up(TILE_ROWS);
        burst!("tdpbusd", ones, sums, steps);
    }
    sums.iter().map(|&sum| f64::from(sum)).sum()
}
