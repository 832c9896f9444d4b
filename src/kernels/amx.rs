//! The matrix unit of recent Intel processors (AMX): whether it is here, and its tiles set up for some work.
//!
//! The compiler knows neither tiles nor their instructions: what multiplies in them is one block of assembly from the
//! first load to the last store. Here is what such blocks share.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Rows of a tile of sums or of numbers of the left operand, at most.
pub(super) const TILE_ROWS: usize = 16;
/// Bytes of a row of a tile, at most.
pub(super) const ROW_BYTES: usize = 64;

/// Whether the processor has tiles with products of bf16 and of bytes, and the system lets this process use them.
pub(super) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| processor_has_tiles() && system_keeps_tiles() && system_permits_tiles())
}

fn processor_has_tiles() -> bool {
    // Leaf 7, register EDX: products of bf16, tiles, products of bytes.
    const FEATURES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & FEATURES == FEATURES
}

/// Whether the system saves tiles and their layout when it switches threads.
fn system_keeps_tiles() -> bool {
    const STATES: u64 = 1 << 17 | 1 << 18;
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: the processor has the instruction; register 0 is there wherever it is.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: it is asked for first, and is only reported where the system has switched it on.
    is_x86_feature_detected!("xsave") && unsafe { states() } & STATES == STATES
}

/// Asks Linux for the memory that tiles take in each thread's state; without, their first use would be a fault.
#[cfg(target_os = "linux")]
fn system_permits_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn system_permits_tiles() -> bool {
    false
}

/// The layout of the eight tiles, as the processor reads it.
#[repr(C, align(64))]
struct Layout([u8; 64]);

impl Layout {
    /// Tiles 0 to 5 of so many rows, tiles 6 and 7 of 16; rows of 64 bytes.
    fn new(rows: usize) -> Self {
        assert!((1..=TILE_ROWS).contains(&rows), "a tile of {rows} rows");
        let mut bytes = [0; 64];
        // The one palette that there is. Bytes of each tile's rows are numbers of 16 bits from byte 16 on, its rows
        // bytes from 48 on.
        bytes[0] = 1;
        for tile in 0..8 {
            bytes[16 + 2 * tile] = ROW_BYTES as u8;
            bytes[48 + tile] = if tile < 6 { rows } else { TILE_ROWS } as u8;
        }
        Self(bytes)
    }
}

/// The tiles of this thread while they are set up: 0 to 3 for sums, 4 and 5 for the left operand, 6 and 7 for the
/// right one. What was set up before comes back at the end, for candle sets tiles up once in a thread and then relies
/// on it.
pub(super) struct Tiles {
    before: Layout,
    of_this_thread: PhantomData<*const ()>,
}

impl Tiles {
    /// Tiles for so many rows of the left operand at a time.
    ///
    /// # Safety
    /// [`is_here`].
    pub(super) unsafe fn set_up(rows: usize) -> Self {
        let mut before = Layout([0; 64]);
        // SAFETY: the caller's; the first writes 64 bytes, the second reads as many that are a layout.
        unsafe {
            asm!("sttilecfg [{}]", in(reg) &mut before, options(nostack, preserves_flags));
            asm!("ldtilecfg [{}]", in(reg) &Layout::new(rows), options(nostack, preserves_flags));
        }
        Self { before, of_this_thread: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there were tiles to set up, and the layout is the processor's own. If none were set up, it is all
        // zeros, which releases them.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &self.before, options(nostack, preserves_flags)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> [u8; 64] {
        let mut layout = Layout([0xff; 64]);
        // SAFETY: the tests ask first whether there are tiles.
        unsafe { asm!("sttilecfg [{}]", in(reg) &mut layout, options(nostack)) };
        layout.0
    }

    #[test]
    fn what_was_set_up_before_comes_back() {
        if !is_here() {
            return;
        }
        assert_eq!(layout(), [0; 64]);
        // SAFETY: there are tiles.
        let outer = unsafe { Tiles::set_up(16) };
        let of_outer = layout();
        assert_eq!(of_outer, Layout::new(16).0);
        // SAFETY: as above.
        let inner = unsafe { Tiles::set_up(3) };
        assert_eq!(layout(), Layout::new(3).0);
        drop(inner);
        assert_eq!(layout(), of_outer);
        drop(outer);
        assert_eq!(layout(), [0; 64]);
    }
}
