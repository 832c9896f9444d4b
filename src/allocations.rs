//! Counts the bytes of tensors that a thread of the unit tests has alive.
//!
//! Values of tensors lie in vectors of floats and bytes, whose alignment is at most 4; workspaces of products are
//! aligned to cache lines, everything else to pointers. candle allocates on the thread that calls it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALIVE: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

/// Shorter ones are texts.
const LEAST_BYTES: usize = 256;

struct Counting;

/// The bytes of tensors that this thread has alive, from an arbitrary zero.
pub(crate) fn alive() -> i64 {
    ALIVE.get()
}

/// The most that this thread had alive since the call before.
pub(crate) fn take_most() -> i64 {
    MOST.replace(ALIVE.get())
}

fn count(layout: Layout, bytes: i64) {
    if layout.align() <= 4 {
        // A thread that ends frees its last values without a count.
        let _ = ALIVE.try_with(|alive| {
            alive.set(alive.get() + bytes);
            let _ = MOST.try_with(|most| most.set(most.get().max(alive.get())));
        });
    }
}

fn bytes(len: usize) -> i64 {
    if len < LEAST_BYTES { 0 } else { len as i64 }
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, bytes(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout, bytes(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout, -bytes(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(layout, bytes(new_size) - bytes(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
