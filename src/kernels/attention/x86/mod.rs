//! The kernels in the vector instructions of x86-64.

pub(super) mod amx;
mod amx_block;
pub(super) mod avx2;
pub(super) mod avx512;
pub(super) mod avx512_bf16;
mod band;
mod extent;
mod lanes256;
mod lanes512;
mod narrow_bf16;
mod narrow_exact;
