//! FFmpeg: nearly all that is unsafe, behind types that are not. What it finds in a file is judged elsewhere.

mod chroma;
pub(crate) mod colour;
pub(crate) mod convert;
pub(crate) mod decoder;
pub(crate) mod ffi;
mod idct;
mod nearest;
pub(crate) mod orientation;
pub(crate) mod plane;
mod portable;
pub(crate) mod sample_table;
mod scaler;
mod scout;
pub(crate) mod source;
pub(crate) mod time;
pub(crate) mod version;
