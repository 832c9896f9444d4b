//! Vectors of 16 lanes, one for each row of a panel, in AVX-512 (one register), AVX2 (a pair) and NEON (four).
//!
//! The kernels of this folder are written once against [`Lanes`]. Their bodies are `#[inline(always)]` and take the
//! instructions of the `#[target_feature]` function that they are inlined into; the methods here inline after them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;

/// What the kernels need of 16 lanes. Words are 32 bits, or four bytes.
///
/// # Safety
/// All methods need the instructions of the type; those that take a pointer read what they say from it.
pub(super) trait Lanes {
    type Floats: Copy;
    type Words: Copy;
    /// Sums of products of bytes on the way to words.
    type Partial: Copy;

    /// Whether [`dot_wide`](Self::dot_wide) takes 128 from each byte.
    const WIDE_IS_SIGNED: bool;

    unsafe fn splat(value: f32) -> Self::Floats;
    unsafe fn words(value: u32) -> Self::Words;
    /// The 64 bytes at an aligned place.
    unsafe fn load(from: *const u8) -> Self::Words;
    /// To a place of 16 floats, aligned or not.
    unsafe fn store(floats: Self::Floats, to: *mut f32);
    /// To an aligned place of 64 bytes.
    unsafe fn store_words(words: Self::Words, to: *mut u8);
    unsafe fn add(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn and(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn or(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn xor(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Zeros come in.
    unsafe fn shift_left(a: Self::Words, bits: u32) -> Self::Words;
    /// Zeros come in.
    unsafe fn shift_right(a: Self::Words, bits: u32) -> Self::Words;
    /// The sign comes in.
    unsafe fn shift_right_signed(a: Self::Words, bits: u32) -> Self::Words;
    /// The floats' bits.
    unsafe fn bits(a: Self::Floats) -> Self::Words;
    /// The floats of these bits.
    unsafe fn from_bits(a: Self::Words) -> Self::Floats;
    unsafe fn to_floats(a: Self::Words) -> Self::Floats;
    /// The f16 in the lower half of each word.
    unsafe fn low_f16(a: Self::Words) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `a * b - c`, rounded once.
    unsafe fn mul_sub(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `c - a * b`, rounded once.
    unsafe fn neg_mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Adds the products of four unsigned bytes of at most 63 with the four signed ones at `x`.
    unsafe fn dot(sums: Self::Words, bytes: Self::Words, x: *const i8) -> Self::Words;
    /// Begins sums of [`add_dot`](Self::add_dot): with `words`, or zeros that they are added to in the end.
    unsafe fn partial(words: Self::Words) -> Self::Partial;
    /// As [`dot`](Self::dot), at most [`most_dots`](Self::most_dots) times.
    unsafe fn add_dot(partial: Self::Partial, bytes: Self::Words, x: *const i8) -> Self::Partial;
    /// The sums, which began with `words`.
    unsafe fn sums(words: Self::Words, partial: Self::Partial) -> Self::Words;
    /// How often products may be added before sums are taken, where bytes are at most so large and `x` at most 127.
    fn most_dots(byte: u32) -> usize;
    /// The same for bytes of any size; see [`WIDE_IS_SIGNED`](Self::WIDE_IS_SIGNED). No `x` is -128.
    unsafe fn dot_wide(sums: Self::Words, bytes: Self::Words, x: *const i8) -> Self::Words;
}
