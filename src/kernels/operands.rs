//! How exactly a product takes its operands.

/// What the operands of a product are rounded to. Sums are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operands {
    /// f32, as they come.
    Exact,
    /// bf16.
    Bf16,
}
