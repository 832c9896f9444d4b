//! What the kernels make of the operands of products and attention.

/// How operands are rounded before they are multiplied. Sums, softmax and everything between products are f32 in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operands {
    /// Not at all: products of f32 and of weights as they are stored.
    #[default]
    Exact,
    /// Only activations before quantized weights, to 8 bits in blocks of 32.
    Bytes,
    /// To bf16, the nearest, before weights in bf16 and in attention; before quantized weights to 8 bits in blocks of
    /// 32.
    Bf16,
}
