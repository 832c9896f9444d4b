//! The kernels in the vector instructions of x86-64.

pub(super) mod avx512;
pub(super) mod avx512_bf16;
mod band;
mod lanes512;
