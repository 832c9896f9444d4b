//! The choices a caller has when a clip is opened.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Pixels a frame may have unless the caller says otherwise: 8192 x 8192.
const MAX_PIXELS: u64 = 1 << 26;

/// How a clip is read.
#[derive(Debug, Clone)]
pub struct ClipOptions {
    /// Damage is an error; otherwise what can be decoded is used, with a warning.
    pub strict: bool,
    /// The most pixels a frame may have.
    pub max_pixels: u64,
    /// Always decode from the first frame to the last: slower, for comparison.
    pub linear: bool,
    /// Frames per second of a directory of pictures.
    pub image_fps: f64,
    /// Threads to decode with; 0 takes [`crate::threads::count`], at most eight.
    pub threads: usize,
    /// Set by the caller, from any thread, to end whatever is going on with [`Error::Interrupted`](super::Error).
    pub stop: Arc<AtomicBool>,
}

impl Default for ClipOptions {
    fn default() -> ClipOptions {
        ClipOptions {
            strict: false,
            max_pixels: MAX_PIXELS,
            linear: false,
            image_fps: 1.0,
            threads: 0,
            stop: Arc::default(),
        }
    }
}

impl ClipOptions {
    /// The number of threads to decode with.
    pub(super) fn thread_count(&self) -> usize {
        match self.threads {
            // More than eight frame threads cost memory and no longer help.
            0 => crate::threads::count().min(8),
            threads => threads.min(16),
        }
    }
}
