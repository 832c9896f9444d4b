//! Powers of two by a polynomial, for softmax.
//!
//! `2^x = 2^n * 2^r` with `n` the nearest integer, `r` within half of zero, and `2^r` by a polynomial of degree 5.
//! That is exactly 1 at 0, and off by 1.05 units of the result's last place at most, before it is rounded.

/// The polynomial's coefficients, of `r^5` down to `r`.
pub(super) const COEFFICIENTS: [f32; 5] = [1.322_570_8e-3, 9.671_764e-3, 5.550_891_4e-2, 0.240_222_37, 0.693_146_8];

/// Below this the power is taken for zero: it would not be a normal number.
pub(super) const LEAST: f32 = -126.0;

/// `2^x`, for `x` that is at most a little above 0.
pub(super) fn exp2(x: f32) -> f32 {
    if x < LEAST {
        return 0.0;
    }
    let n = x.round_ties_even();
    // In f64, because f32 would round after every product.
    let r = f64::from(x - n);
    let power = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * r + f64::from(*coefficient)) * r + 1.0;
    // `n` is from -126 to 0 or so: the exponent's bits stay those of a normal number.
    power as f32 * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// Asserts that 16 powers at a time are within two units of the last place, 1 at 0, and 0 far below.
#[cfg(test)]
pub(super) fn assert_accurate(powers: impl Fn([f32; 16]) -> [f32; 16]) {
    let check = |x: [f32; 16]| {
        for (x, power) in x.into_iter().zip(powers(x)) {
            let exact = f64::from(x).exp2();
            if x < LEAST {
                assert_eq!(power, 0.0, "2^{x}");
            } else {
                let unit = f64::from(f32::EPSILON) * exact.log2().floor().exp2();
                assert!((f64::from(power) - exact).abs() <= 2.0 * unit, "2^{x}: {power}");
            }
        }
    };
    for step in 0..1 << 20 {
        check(std::array::from_fn(|lane| -((16 * step + lane) as f32) * (130.0 / (1 << 24) as f32)));
    }
    check([
        -127.0,
        -1e10,
        f32::MIN,
        f32::NEG_INFINITY,
        -126.0,
        -1e-30,
        1e-6,
        -0.5,
        0.5,
        -1.5,
        -2.5,
        0.0,
        -0.0,
        -1.0,
        -2.0,
        -64.0,
    ]);
    assert_eq!(powers([0.0; 16]), [1.0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_within_two_units_of_the_last_place() {
        assert_accurate(|x| x.map(exp2));
    }
}
