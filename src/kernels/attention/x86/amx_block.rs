//! A block of products in the matrix unit: up to 32 rows by 32 lanes.

use std::arch::asm;

/// Bytes of a tile of rows, which lie one after another.
const TILE_BYTES: usize = 1024;

/// What a block multiplies. Each step is 32 numbers of the direction that is summed over.
#[derive(Debug)]
pub(super) struct Block {
    /// Tiles of 16 rows by 16 words, from step to step one after another; bytes to those of the next 16 rows.
    pub(super) rows: *const f32,
    pub(super) rows_next: usize,
    /// 16 words of each lane for a step; bytes from word to word. Lanes follow each other.
    pub(super) lanes: *const f32,
    pub(super) lane_stride: usize,
    pub(super) steps: usize,
    /// Rows of sums of the lanes, as far apart as words.
    pub(super) sums: *mut f32,
    /// Whether to add to the sums that are there.
    pub(super) resume: bool,
}

/// Defines a function for so many tiles of rows and lanes: `$second_rows` and so on begin lines that only two have,
/// with nothing, or with the sign that makes them comments.
macro_rules! block {
    ($name:ident, $second_rows:literal, $second_lanes:literal, $both:literal) => {
        /// # Safety
        /// See [`multiply`].
        unsafe fn $name(block: &Block) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "test {resume}, {resume}",
                    "jz 3f",
                    "tileloadd tmm0, [{sums} + {stride}*1]",
                    concat!($second_lanes, "tileloadd tmm1, [{sums} + {stride}*1 + 64]"),
                    concat!($second_rows, "tileloadd tmm2, [{below} + {stride}*1]"),
                    concat!($both, "tileloadd tmm3, [{below} + {stride}*1 + 64]"),
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    concat!($second_lanes, "tilezero tmm1"),
                    concat!($second_rows, "tilezero tmm2"),
                    concat!($both, "tilezero tmm3"),
                    "2:",
                    "tileloadd tmm4, [{rows} + {line}*1]",
                    "tileloadd tmm6, [{lanes} + {stride}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    concat!($second_lanes, "tileloadd tmm7, [{lanes} + {stride}*1 + 64]"),
                    concat!($second_lanes, "tdpbf16ps tmm1, tmm4, tmm7"),
                    concat!($second_rows, "tileloadd tmm5, [{rows1} + {line}*1]"),
                    concat!($second_rows, "tdpbf16ps tmm2, tmm5, tmm6"),
                    "add {rows}, 1024",
                    "add {rows1}, 1024",
                    "add {lanes}, {step}",
                    concat!($both, "tdpbf16ps tmm3, tmm5, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {stride}*1], tmm0",
                    concat!($second_lanes, "tilestored [{sums} + {stride}*1 + 64], tmm1"),
                    concat!($second_rows, "tilestored [{below} + {stride}*1], tmm2"),
                    concat!($both, "tilestored [{below} + {stride}*1 + 64], tmm3"),
                    resume = in(reg_byte) u8::from(block.resume),
                    sums = in(reg) block.sums,
                    below = in(reg) block.sums.wrapping_byte_add(16 * block.lane_stride),
                    stride = in(reg) block.lane_stride,
                    step = in(reg) 16 * block.lane_stride,
                    rows = inout(reg) block.rows => _,
                    rows1 = inout(reg) block.rows.wrapping_byte_add(block.rows_next) => _,
                    lanes = inout(reg) block.lanes => _,
                    line = in(reg) TILE_BYTES / 16,
                    steps = inout(reg) block.steps => _,
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

/// Multiplies a block of `row_tiles` times 16 rows, one or two, by `vectors` of 16 lanes, one or two.
///
/// # Safety
/// Tiles are set up for 16 rows. There is at least one step; the operands of all can be read, and the sums read, to add
/// to them, and written.
pub(super) unsafe fn multiply(block: &Block, row_tiles: usize, vectors: usize) {
    // SAFETY: the caller's.
    unsafe {
        match (row_tiles, vectors) {
            (1, 1) => one_by_one(block),
            (1, _) => one_by_two(block),
            (_, 1) => two_by_one(block),
            _ => two_by_two(block),
        }
    }
}
