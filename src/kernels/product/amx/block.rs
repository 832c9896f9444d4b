//! A block of sums in the matrix unit: up to 32 rows by two panels, over a run of steps of 32 columns.
//!
//! Each step brings one tile of weights for each panel and one of activations for each 16 rows, and multiplies each
//! with each. A tile's product adds 32 columns' products to each sum in a fixed order, whatever lies in other rows; so
//! does the next step. Sums may be set aside between runs and taken up again, which changes no bit.

use std::arch::asm;
use std::ffi::c_void;
use std::mem::offset_of;

use crate::kernels::amx::{ROW_BYTES, TILE_ROWS};

/// Columns of a step.
pub(super) const STEP_COLUMNS: usize = ROW_BYTES / 2;
/// Bytes of a whole tile.
pub(super) const TILE_BYTES: usize = TILE_ROWS * ROW_BYTES;

/// How far ahead of a stream of weights its like is asked for.
const STREAM_BYTES: usize = 8 << 10;

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
    /// Called with the context after each portion of so many steps: what else is to be done while the matrix unit works
    /// off its queue.
    pub(super) portion: usize,
    pub(super) meanwhile: unsafe extern "sysv64" fn(*mut c_void),
    pub(super) context: *mut c_void,
}

/// Defines a function for so many tiles of rows and panels: `$second_rows` and so on begin lines that only two have,
/// with nothing, or with the sign that makes them comments.
///
/// What is called in between may change every register that a function may: r12 to r15 stay.
macro_rules! block {
    ($name:ident, $second_rows:literal, $second_panel:literal, $both:literal) => {
        /// # Safety
        /// See [`multiply`].
        unsafe fn $name(block: &mut Block) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "mov rax, [r12 + {SUMS}]",
                    "mov rcx, [r12 + {SUM_STRIDE}]",
                    "mov rdx, rcx",
                    "shl rdx, 4",
                    "add rdx, rax",
                    "cmp qword ptr [r12 + {RESUME}], 0",
                    "je 3f",
                    "tileloadd tmm0, [rax + rcx*1]",
                    concat!($second_panel, "tileloadd tmm1, [rax + rcx*1 + 64]"),
                    concat!($second_rows, "tileloadd tmm2, [rdx + rcx*1]"),
                    concat!($both, "tileloadd tmm3, [rdx + rcx*1 + 64]"),
                    "jmp 4f",
                    "3:",
                    "tilezero tmm0",
                    concat!($second_panel, "tilezero tmm1"),
                    concat!($second_rows, "tilezero tmm2"),
                    concat!($both, "tilezero tmm3"),
                    "4:",
                    "mov r13, [r12 + {X}]",
                    "mov r14, [r12 + {WEIGHTS}]",
                    // A portion of the steps: r15 of them, at least one.
                    "7:",
                    "mov r15, [r12 + {PORTION}]",
                    "mov rax, [r12 + {STEPS}]",
                    "test rax, rax",
                    "jz 5f",
                    "cmp r15, rax",
                    "cmova r15, rax",
                    "sub [r12 + {STEPS}], r15",
                    "8:",
                    "mov rax, r13",
                    "add rax, [r12 + {X_NEXT}]",
                    "mov rcx, r14",
                    "add rcx, [r12 + {WEIGHTS_NEXT}]",
                    "mov rdx, [r12 + {AHEAD}]",
                    "mov rsi, [r12 + {FETCHED}]",
                    "mov rdi, [r12 + {FETCHED} + {OTHER}]",
                    "mov r8, [r12 + {FETCHED} + {PLACE}]",
                    "mov r9, [r12 + {FETCHED} + {PLACE} + {OTHER}]",
                    "mov r10d, 64",
                    "mov r11, [r12 + {X_STEP}]",
                    ".p2align 5",
                    "2:",
                    "tileloadd tmm6, [r14 + r10*1]",
                    // Activations pass the first cache by, where the panels stay for the next rows.
                    "tileloaddt1 tmm4, [r13 + r10*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    concat!($second_panel, "tileloadd tmm7, [rcx + r10*1]"),
                    concat!($second_panel, "tdpbf16ps tmm1, tmm4, tmm7"),
                    concat!($second_rows, "tileloaddt1 tmm5, [rax + r10*1]"),
                    concat!($second_rows, "tdpbf16ps tmm2, tmm5, tmm6"),
                    // With few rows each panel is a stream from memory that goes on a little later.
                    ".if {FEW_ROWS}",
                    ".irp line, 0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960",
                    "prefetcht0 [r14 + {STREAM} + \\line]",
                    "prefetcht0 [rcx + {STREAM} + \\line]",
                    ".endr",
                    ".else",
                    "prefetcht1 [rdx]",
                    "prefetcht1 [rdx + 64]",
                    "prefetcht1 [rdx + 128]",
                    "add rdx, 192",
                    "prefetcht0 [rsi]",
                    "prefetcht0 [rsi + rdi]",
                    "add rsi, [r12 + {FETCHED} + {ROW}]",
                    "prefetcht0 [rsi]",
                    "prefetcht0 [rsi + rdi]",
                    "add rsi, [r12 + {FETCHED} + {ROW}]",
                    "prefetcht0 [r8]",
                    "prefetcht0 [r8 + r9]",
                    "add r8, [r12 + {FETCHED} + {PLACE} + {ROW}]",
                    "prefetcht0 [r8]",
                    "prefetcht0 [r8 + r9]",
                    "add r8, [r12 + {FETCHED} + {PLACE} + {ROW}]",
                    ".endif",
                    "add r13, r11",
                    "add rax, r11",
                    "add r14, 1024",
                    "add rcx, 1024",
                    concat!($both, "tdpbf16ps tmm3, tmm5, tmm7"),
                    "dec r15",
                    "jnz 2b",
                    "mov [r12 + {AHEAD}], rdx",
                    "mov [r12 + {FETCHED}], rsi",
                    "mov [r12 + {FETCHED} + {PLACE}], r8",
                    "mov rdi, [r12 + {CONTEXT}]",
                    "call [r12 + {MEANWHILE}]",
                    "jmp 7b",
                    "5:",
                    "mov r15, [r12 + {TAIL_STEPS}]",
                    "test r15, r15",
                    "jz 6f",
                    "mov qword ptr [r12 + {TAIL_STEPS}], 0",
                    "mov r14, [r12 + {TAIL}]",
                    "mov qword ptr [r12 + {WEIGHTS_NEXT}], 1024",
                    "jmp 8b",
                    "6:",
                    "mov rax, [r12 + {SUMS}]",
                    "mov rcx, [r12 + {SUM_STRIDE}]",
                    "mov rdx, rcx",
                    "shl rdx, 4",
                    "add rdx, rax",
                    "tilestored [rax + rcx*1], tmm0",
                    concat!($second_panel, "tilestored [rax + rcx*1 + 64], tmm1"),
                    concat!($second_rows, "tilestored [rdx + rcx*1], tmm2"),
                    concat!($both, "tilestored [rdx + rcx*1 + 64], tmm3"),
                    X = const offset_of!(Block, x),
                    X_STEP = const offset_of!(Block, x_step_bytes),
                    X_NEXT = const offset_of!(Block, x_next),
                    WEIGHTS = const offset_of!(Block, weights),
                    WEIGHTS_NEXT = const offset_of!(Block, weights_next),
                    STEPS = const offset_of!(Block, steps),
                    PORTION = const offset_of!(Block, portion),
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
                    MEANWHILE = const offset_of!(Block, meanwhile),
                    CONTEXT = const offset_of!(Block, context),
                    FEW_ROWS = const $second_rows.len(),
                    STREAM = const STREAM_BYTES,
                    in("r12") block,
                    out("r13") _,
                    out("r14") _,
                    out("r15") _,
                    clobber_abi("sysv64"),
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
/// to go on from them, and written. There is at least one step in a portion, and `meanwhile` may be called.
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
