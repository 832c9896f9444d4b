//! FFmpeg: nearly all that is unsafe, behind types that are not. What it finds in a file is judged elsewhere.

pub(crate) mod convert;
pub(crate) mod decoder;
pub(crate) mod ffi;
pub(crate) mod orientation;
pub(crate) mod plane;
mod scout;
pub(crate) mod source;
pub(crate) mod version;
