//! Numbers that a kernel reads, in one of the types that it knows.

use half::bf16;

/// Numbers that are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}
