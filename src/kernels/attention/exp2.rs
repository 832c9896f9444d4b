//! Powers of two by a polynomial, for softmax.
//!
//! `2^x = 2^n * 2^r` with `n` the nearest integer, `r` within half of zero, and `2^r` by a polynomial of degree 5 whose
//! greatest relative error is 0.92e-7 and which is exactly 1 at 0.

/// The polynomial's coefficients, of `r^5` down to `r`.
pub(super) const COEFFICIENTS: [f32; 5] = [1.326_473e-3, 9.671_514e-3, 5.550_733_8e-2, 2.402_224_2e-1, 6.931_469_8e-1];

/// Below this the power is taken for zero: it would not be a normal number.
pub(super) const LEAST: f32 = -126.0;

/// `2^x`, for `x` that is at most a little above 0.
pub(super) fn exp2(x: f32) -> f32 {
    if x < LEAST {
        return 0.0;
    }
    let n = x.round_ties_even();
    let r = x - n;
    let power = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * r + coefficient) * r + 1.0;
    // `n` is from -126 to 0 or so: the exponent's bits stay those of a normal number.
    power * f32::from_bits(((n as i32 + 127) << 23) as u32)
}
