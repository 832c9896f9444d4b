//! What the packets of a codec tell about themselves, without decoding them.

pub(crate) mod hidden;
pub(crate) mod nal;
