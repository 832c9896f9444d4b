//! Numbers that a kernel reads or writes, in one of the types that it knows.

use half::bf16;

/// Numbers that are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// Numbers that are written.
#[derive(Debug)]
pub(crate) enum Out<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [bf16]),
}
