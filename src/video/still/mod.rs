//! Pictures and animations, which FFmpeg has no part in.

pub(crate) mod images;
pub(crate) mod webp;
