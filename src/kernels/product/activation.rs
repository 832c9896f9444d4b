//! The functions that follow products: GELU and SiLU, to about the rounding of f32.
//!
//! Written without calls or branches, so that loops over them become vector instructions of whatever features their
//! caller has; the arithmetic is the same in each.

/// GELU as 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). As (1 + tanh(u)) / 2 = 1 / (1 + e^-2u), nothing cancels.
#[inline(always)]
pub(super) fn gelu_tanh(x: f32) -> f32 {
    /// 2 sqrt(2 / pi), and that times 0.044715.
    const LINEAR: f32 = 1.595_769_2;
    const CUBIC: f32 = 0.071_354_814;
    x / (1.0 + exp(-x * (LINEAR + CUBIC * (x * x))))
}

/// x / (1 + e^-x).
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// GELU as 0.5 x (1 + erf(x / sqrt(2))).
///
/// The normal distribution's tail beyond |x| is e^(-x^2 / 2) times a smooth function, here a polynomial in
/// t = 1 / (1 + |x| / 4), fitted at Chebyshev's nodes for |x| <= 6; the fit is off by at most 2.4e-8.
#[inline(always)]
pub(super) fn gelu_erf(x: f32) -> f32 {
    const TAIL: [f32; 7] =
        [0.098_245_38, 0.117_210_75, 0.006_979_486, 0.314_235_45, -0.300_857_5, 0.359_799_35, -0.095_612_94];
    let t = 1.0 / (1.0 + 0.25 * x.abs());
    let mut sum = TAIL[TAIL.len() - 1];
    for &coefficient in TAIL.iter().rev().skip(1) {
        sum = sum * t + coefficient;
    }
    let below = x * (t * sum * exp(x * x * -0.5));
    if x < 0.0 { below } else { x - below }
}

/// e^x to about one unit in the last place: 2^n times a polynomial on half an octave around 0. Below -87 and above 88
/// it stays at the last normal numbers. NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding this rounds to a whole number, which the last bits then hold.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first short enough that its product with a whole number is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    // Taylor's series to the sixth power: on |r| <= ln 2 / 2 the rest is below 2e-7 of r.
    let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error function by its series, or its continued fraction where the series would cancel.
    fn erfc(x: f64) -> f64 {
        if x < 0.0 {
            return 2.0 - erfc(-x);
        }
        if x < 2.5 {
            let (mut term, mut sum) = (x, x);
            for n in 1..100 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
        }
        let fraction = (1..200).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
        (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
    }

    fn check(name: &str, function: fn(f32) -> f32, exact: impl Fn(f64) -> f64) {
        for i in -400_000..=400_000 {
            let x = i as f32 * 5e-5 * if i % 3 == 0 { 7.0 } else { 1.0 };
            let (got, expected) = (f64::from(function(x)), exact(f64::from(x)));
            let error = (got - expected).abs() / f64::from(x).abs().max(1.0);
            assert!(error <= 2e-7, "{name}({x}) = {got}, expected {expected}");
        }
        assert!(function(f32::NAN).is_nan());
        assert!(function(-1e4).abs() < 1e-30 && (function(1e4) - 1e4).abs() < 1e-2);
    }

    #[test]
    fn each_is_its_formula_to_the_rounding_of_f32() {
        let root = (2.0 / std::f64::consts::PI).sqrt();
        check("gelu_tanh", gelu_tanh, |x| 0.5 * x * (1.0 + (root * (x + 0.044715 * x * x * x)).tanh()));
        check("gelu_erf", gelu_erf, |x| 0.5 * x * erfc(-x / std::f64::consts::SQRT_2));
        check("silu", silu, |x| x / (1.0 + (-x).exp()));
    }

    #[test]
    fn the_reference_is_the_error_function() {
        // Values from tables.
        for (x, expected) in
            [(0.5, 0.479_500_122_186_953_5), (2.0, 0.004_677_734_981_047_266), (3.0, 2.209_049_699_858_544e-5)]
        {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-12, "{x}: {}", erfc(x));
        }
        assert!((erfc(-1.0) - 1.842_700_792_949_715).abs() < 1e-14);
    }
}
