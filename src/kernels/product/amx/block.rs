//! A block of sums in the matrix unit: up to 32 rows by two panels, over a run of steps of 32 columns.
//!
//! Each step brings one tile of weights for each panel and one of activations for each 16 rows, and multiplies each
//! with each. A tile's product adds 32 columns' products to each sum in a fixed order, whatever lies in other rows; so
//! does the next step. Sums may be set aside between runs and taken up again, which changes no bit.

use std::arch::asm;
use std::mem::offset_of;

use crate::kernels::amx::{ROW_BYTES, TILE_ROWS};

/// Columns of a step.
pub(super) const STEP_COLUMNS: usize = ROW_BYTES / 2;
/// Bytes of a whole tile.
pub(super) const TILE_BYTES: usize = TILE_ROWS * ROW_BYTES;
/// Bytes that a step brings nearer of what is read next.
pub(super) const AHEAD_BYTES: usize = 3 * 64;
/// Rows of a place that a step brings nearer.
pub(super) const FETCHED_ROWS: usize = 2;

/// What is used soon: two bytes of each row, in lines that are wanted. It may be anywhere.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Fetched {
    /// The first byte of the first row, and bytes to the other one.
    pub(super) first: *const u8,
    pub(super) other_bytes: usize,
    /// Bytes from row to row.
    pub(super) row_bytes: usize,
}

/// What a block multiplies. Tiles of one operand follow each other from step to step.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Block {
    /// The first tile of activations.
    pub(super) x: *const u8,
    /// Bytes from one step's tile of activations to the next one's.
    pub(super) x_step_bytes: usize,
    /// Bytes from the first 16 rows' tiles to the next 16 rows'.
    pub(super) x_next: usize,
    /// The first tile of the first panel, and bytes to that of the second.
    pub(super) weights: *const u8,
    pub(super) weights_next: usize,
    pub(super) steps: usize,
    /// Tiles of weights, one for each panel, for a last step that the panels hold only in part; 1 where there is one.
    pub(super) tail: *const u8,
    pub(super) tail_steps: usize,
    /// The sums, and bytes from row to row. Panels follow each other in a row.
    pub(super) sums: *mut f32,
    pub(super) sum_stride: usize,
    /// Whether to go on from what `sums` holds: 0 or 1.
    pub(super) resume: usize,
    /// What is read next; it may be anywhere.
    pub(super) ahead: *const u8,
    /// What is read or written after the block.
    pub(super) fetched: [Fetched; 2],
}

/// Defines a function for so many tiles of rows and panels: `$second_rows` and so on begin lines that only two have,
/// with nothing, or with the sign that makes them comments.
macro_rules! block {
    ($name:ident, $second_rows:literal, $second_panel:literal, $both:literal) => {
        /// # Safety
        /// See [`multiply`].
        unsafe fn $name(block: &mut Block) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "mov {x}, [{block} + {X}]",
                    "mov {x1}, {x}",
                    "add {x1}, [{block} + {X_NEXT}]",
                    "mov {w}, [{block} + {WEIGHTS}]",
                    "mov {w1}, {w}",
                    "add {w1}, [{block} + {WEIGHTS_NEXT}]",
                    // Registers have to do with the sums first and last, with what is fetched between.
                    "mov {r1}, [{block} + {SUMS}]",
                    "mov {r2}, [{block} + {SUM_STRIDE}]",
                    "mov {steps}, [{block} + {RESUME}]",
                    "mov {r3}, {r2}",
                    "shl {r3}, 4",
                    "add {r3}, {r1}",
                    "test {steps}, {steps}",
                    "jz 3f",
                    "tileloadd tmm0, [{r1} + {r2}*1]",
                    concat!($second_panel, "tileloadd tmm1, [{r1} + {r2}*1 + 64]"),
                    concat!($second_rows, "tileloadd tmm2, [{r3} + {r2}*1]"),
                    concat!($both, "tileloadd tmm3, [{r3} + {r2}*1 + 64]"),
                    "jmp 4f",
                    "3:",
                    "tilezero tmm0",
                    concat!($second_panel, "tilezero tmm1"),
                    concat!($second_rows, "tilezero tmm2"),
                    concat!($both, "tilezero tmm3"),
                    "4:",
                    "mov {r1}, [{block} + {AHEAD}]",
                    "mov {r2}, [{block} + {FETCHED}]",
                    "mov {r3}, [{block} + {FETCHED} + {OTHER}]",
                    "mov {r4}, [{block} + {FETCHED} + {PLACE}]",
                    "mov {r5}, [{block} + {FETCHED} + {PLACE} + {OTHER}]",
                    "mov {steps}, [{block} + {STEPS}]",
                    "test {steps}, {steps}",
                    "jz 5f",
                    ".p2align 5",
                    "2:",
                    "tileloadd tmm6, [{w} + {line}*1]",
                    // Activations pass the first cache by, where the panels stay for the next rows.
                    "tileloaddt1 tmm4, [{x} + {line}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    concat!($second_panel, "tileloadd tmm7, [{w1} + {line}*1]"),
                    concat!($second_panel, "tdpbf16ps tmm1, tmm4, tmm7"),
                    concat!($second_rows, "tileloaddt1 tmm5, [{x1} + {line}*1]"),
                    concat!($second_rows, "tdpbf16ps tmm2, tmm5, tmm6"),
                    "prefetcht1 [{r1}]",
                    "prefetcht1 [{r1} + 64]",
                    "prefetcht1 [{r1} + 128]",
                    "add {r1}, 192",
                    "prefetcht0 [{r2}]",
                    "prefetcht0 [{r2} + {r3}]",
                    "add {r2}, [{block} + {FETCHED} + {ROW}]",
                    "prefetcht0 [{r2}]",
                    "prefetcht0 [{r2} + {r3}]",
                    "add {r2}, [{block} + {FETCHED} + {ROW}]",
                    "prefetcht0 [{r4}]",
                    "prefetcht0 [{r4} + {r5}]",
                    "add {r4}, [{block} + {FETCHED} + {PLACE} + {ROW}]",
                    "prefetcht0 [{r4}]",
                    "prefetcht0 [{r4} + {r5}]",
                    "add {r4}, [{block} + {FETCHED} + {PLACE} + {ROW}]",
                    "add {x}, [{block} + {X_STEP}]",
                    "add {x1}, [{block} + {X_STEP}]",
                    "add {w}, 1024",
                    "add {w1}, 1024",
                    concat!($both, "tdpbf16ps tmm3, tmm5, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    "5:",
                    "mov {steps}, [{block} + {TAIL_STEPS}]",
                    "test {steps}, {steps}",
                    "jz 6f",
                    "mov qword ptr [{block} + {TAIL_STEPS}], 0",
                    "mov {w}, [{block} + {TAIL}]",
                    "lea {w1}, [{w} + 1024]",
                    "jmp 2b",
                    "6:",
                    "mov {r1}, [{block} + {SUMS}]",
                    "mov {r2}, [{block} + {SUM_STRIDE}]",
                    "mov {r3}, {r2}",
                    "shl {r3}, 4",
                    "add {r3}, {r1}",
                    "tilestored [{r1} + {r2}*1], tmm0",
                    concat!($second_panel, "tilestored [{r1} + {r2}*1 + 64], tmm1"),
                    concat!($second_rows, "tilestored [{r3} + {r2}*1], tmm2"),
                    concat!($both, "tilestored [{r3} + {r2}*1 + 64], tmm3"),
                    X = const offset_of!(Block, x),
                    X_STEP = const offset_of!(Block, x_step_bytes),
                    X_NEXT = const offset_of!(Block, x_next),
                    WEIGHTS = const offset_of!(Block, weights),
                    WEIGHTS_NEXT = const offset_of!(Block, weights_next),
                    STEPS = const offset_of!(Block, steps),
                    TAIL = const offset_of!(Block, tail),
                    TAIL_STEPS = const offset_of!(Block, tail_steps),
                    SUMS = const offset_of!(Block, sums),
                    SUM_STRIDE = const offset_of!(Block, sum_stride),
                    RESUME = const offset_of!(Block, resume),
                    AHEAD = const offset_of!(Block, ahead),
                    FETCHED = const offset_of!(Block, fetched),
                    PLACE = const size_of::<Fetched>(),
                    OTHER = const offset_of!(Fetched, other_bytes),
                    ROW = const offset_of!(Fetched, row_bytes),
                    block = in(reg) block,
                    line = in(reg) ROW_BYTES,
                    x = out(reg) _,
                    x1 = out(reg) _,
                    w = out(reg) _,
                    w1 = out(reg) _,
                    r1 = out(reg) _,
                    r2 = out(reg) _,
                    r3 = out(reg) _,
                    r4 = out(reg) _,
                    r5 = out(reg) _,
                    steps = out(reg) _,
                    out("tmm0") _,
                    out("tmm1") _,
                    out("tmm2") _,
                    out("tmm3") _,
                    out("tmm4") _,
                    out("tmm5") _,
                    out("tmm6") _,
                    out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

block!(one_by_one, "#", "#", "#");
block!(one_by_two, "#", "", "#");
block!(two_by_one, "", "#", "#");
block!(two_by_two, "", "", "");

/// Multiplies a block of `row_tiles` tiles of rows, one or two, by `panels` panels, one or two.
///
/// # Safety
/// Tiles are set up, for 16 rows if there are two tiles of them. All tiles of the block can be read, and its sums read,
/// to go on from them, and written.
pub(super) unsafe fn multiply(block: &mut Block, row_tiles: usize, panels: usize) {
    // SAFETY: the caller's.
    unsafe {
        match (row_tiles, panels) {
            (1, 1) => one_by_one(block),
            (1, _) => one_by_two(block),
            (_, 1) => two_by_one(block),
            _ => two_by_two(block),
        }
    }
}
