//! libswscale in C where its code for the processor gives other values than that for x86-64.
//!
//! On ARM libswscale rounds the number of rows of a vertical filter up, and so takes another path to RGB, with other
//! values. In C, as compiled for any processor, it gives those of x86-64, but for the conversions of `nearest.rs`.
//! FFmpeg has no switch for that but one for the whole process. It is looked at while a context is set up, so it is set
//! for that long. A decoder that is opened by another thread meanwhile is slower, and gives the same frames.

use std::sync::{Mutex, PoisonError};

use ffmpeg_next::ffi;

/// One at a time, or one would put back what another has set.
static SWITCH: Mutex<()> = Mutex::new(());

/// Puts FFmpeg's switch back, whatever happens.
struct Instructions(std::ffi::c_int);

impl Drop for Instructions {
    fn drop(&mut self) {
        // SAFETY: takes any flags that the processor has.
        unsafe { ffi::av_force_cpu_flags(self.0) };
    }
}

/// Runs `make`, which makes a context of libswscale or changes it, on other processors than x86-64 as if they had no
/// instructions beyond the least.
pub(super) fn portably<T>(make: impl FnOnce() -> T) -> T {
    if cfg!(target_arch = "x86_64") {
        return make();
    }
    let _guard = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: asks for what is known, or finds out.
    let _put_back = Instructions(unsafe { ffi::av_get_cpu_flags() });
    // SAFETY: no instructions at all is what FFmpeg can always do with.
    unsafe { ffi::av_force_cpu_flags(0) };
    make()
}
