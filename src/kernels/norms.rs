//! RMS and layer normalisation over rows.
//!
//! Sums run in f32 over many lanes, always the same for a row, whatever other rows there are. The variance comes from a
//! second pass over the row, which is in the first cache by then: more exact than the difference of two sums.

use half::bf16;

use super::isa::Isa;
use super::out::{Disjoint, Out, Value};
use super::pool;

/// Accumulators of a sum: enough to keep several vectors of any width in flight.
const LANES: usize = 64;
/// In the registers of the plain target there is room for fewer.
const PLAIN_LANES: usize = 16;
/// About so many values make a task: below it, handing out costs more than it gains.
const TASK_VALUES: usize = 1 << 14;

/// Each row of `x` divided by the root of its mean square, times `weight`, which is as long as a row.
pub(crate) fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], eps: f32, out: Out<'_>) {
    into(isa, RmsNorm { weight, eps }, x, out);
}

/// Each row of `x` less its mean, divided by its standard deviation, times `weight`, plus `bias`.
pub(crate) fn layer_norm(isa: Isa, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: Out<'_>) {
    assert_eq!(bias.len(), weight.len(), "bias and weight of one length");
    into(isa, LayerNorm { weight, bias, eps }, x, out);
}

trait Norm: Copy + Sync {
    /// Values of a row.
    fn width(self) -> usize;

    /// One row, in sums of N lanes; with `FMA`, multiplied and added in one step.
    fn row<const N: usize, const FMA: bool, T: Value>(self, x: &[f32], out: &mut [T]);
}

#[derive(Clone, Copy)]
struct RmsNorm<'a> {
    weight: &'a [f32],
    eps: f32,
}

impl Norm for RmsNorm<'_> {
    fn width(self) -> usize {
        self.weight.len()
    }

    #[inline(always)]
    fn row<const N: usize, const FMA: bool, T: Value>(self, x: &[f32], out: &mut [T]) {
        let squares = sum::<N>(x, |sum, x| add_product::<FMA>(x, x, sum));
        let scale = 1.0 / (squares / x.len() as f32 + self.eps).sqrt();
        for ((out, &x), &weight) in out.iter_mut().zip(x).zip(self.weight) {
            *out = T::of(x * scale * weight);
        }
    }
}

#[derive(Clone, Copy)]
struct LayerNorm<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl Norm for LayerNorm<'_> {
    fn width(self) -> usize {
        self.weight.len()
    }

    #[inline(always)]
    fn row<const N: usize, const FMA: bool, T: Value>(self, x: &[f32], out: &mut [T]) {
        let len = x.len() as f32;
        let mean = sum::<N>(x, |sum, x| sum + x) / len;
        let squares = sum::<N>(x, |sum, x| add_product::<FMA>(x - mean, x - mean, sum));
        let scale = 1.0 / (squares / len + self.eps).sqrt();
        for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
            *out = T::of(add_product::<FMA>((x - mean) * scale, weight, bias));
        }
    }
}

#[inline(always)]
fn add_product<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Where there is no such instruction, `mul_add` would be a call.
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Adds up a row with `add`: lane i takes each N-th value from the i-th on, then the lanes are added in pairs.
#[inline(always)]
fn sum<const N: usize>(x: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let (lanes, rest) = x.as_chunks::<N>();
    let mut sums = [0f32; N];
    for lane in lanes {
        for (sum, &x) in sums.iter_mut().zip(lane) {
            *sum = add(*sum, x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum = add(*sum, x);
    }
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

fn into(isa: Isa, norm: impl Norm, x: &[f32], out: Out<'_>) {
    match out {
        Out::F32(out) => on_all_threads::<f32>(isa, norm, x, out),
        Out::Bf16(out) => on_all_threads::<bf16>(isa, norm, x, out),
    }
}

fn on_all_threads<T: Value>(isa: Isa, norm: impl Norm, x: &[f32], out: &mut [T]) {
    let width = norm.width();
    assert!(width > 0 && x.len().is_multiple_of(width), "rows of {width} in {} values", x.len());
    assert_eq!(out.len(), x.len(), "room for each value");
    let task_values = TASK_VALUES.div_ceil(width) * width;
    let out = Disjoint::new(out);
    pool::run(x.len().div_ceil(task_values), |task| {
        let start = task * task_values;
        let x = &x[start..x.len().min(start + task_values)];
        // SAFETY: each task has rows of its own.
        rows(isa, norm, x, unsafe { out.part(start, x.len()) });
    });
}

/// Rows on this thread.
fn rows<T: Value>(isa: Isa, norm: impl Norm, x: &[f32], out: &mut [T]) {
    match isa {
        // SAFETY: sets of instructions that are handed around are ones that this machine has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe { rows_avx512(norm, x, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { rows_avx2(norm, x, out) },
        // What the target has in any case.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => rows_in_lanes::<LANES, true, T>(norm, x, out),
        _ => rows_in_lanes::<PLAIN_LANES, false, T>(norm, x, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
fn rows_avx512<T: Value>(norm: impl Norm, x: &[f32], out: &mut [T]) {
    rows_in_lanes::<LANES, true, T>(norm, x, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn rows_avx2<T: Value>(norm: impl Norm, x: &[f32], out: &mut [T]) {
    rows_in_lanes::<LANES, true, T>(norm, x, out);
}

/// In lanes of N, which the compiler turns into vectors of the features of whoever calls this.
#[inline(always)]
fn rows_in_lanes<const N: usize, const FMA: bool, T: Value>(norm: impl Norm, x: &[f32], out: &mut [T]) {
    for (x, out) in x.chunks_exact(norm.width()).zip(out.chunks_exact_mut(norm.width())) {
        norm.row::<N, FMA, T>(x, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows, weight and bias from a seed: values about `centre`.
    fn data(rows: usize, width: usize, centre: f32, seed: u32) -> [Vec<f32>; 3] {
        let mut state = seed;
        let mut values = |count: usize, centre: f32| -> Vec<f32> {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0 + centre
            };
            (0..count).map(next).collect()
        };
        [values(rows * width, centre), values(width, 0.5), values(width, 0.0)]
    }

    fn rms(isa: Isa, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; x.len()];
        rms_norm(isa, x, weight, 1e-6, Out::F32(&mut out));
        out
    }

    fn layer(isa: Isa, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; x.len()];
        layer_norm(isa, x, weight, bias, 1e-5, Out::F32(&mut out));
        out
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    /// Additions that a value may pass through in a sum, and some steps beside it, each off by half a unit.
    fn error(width: usize) -> f64 {
        (width / PLAIN_LANES + 12) as f64 * f64::from(f32::EPSILON) / 2.0
    }

    proptest! {
        #[test]
        fn norms_are_what_they_are_defined_as(
            rows in 1usize..6, width in prop_oneof![1usize..200, Just(896), Just(1152), Just(3584), Just(4097)],
            centre in -4f32..4.0, seed: u32,
        ) {
            let [x, weight, bias] = data(rows, width, centre, seed);
            for isa in Isa::available() {
                let (rms, layer) = (rms(isa, &x, &weight), layer(isa, &x, &weight, &bias));
                for (at, row) in x.chunks_exact(width).enumerate() {
                    let mean_of = |f: &dyn Fn(f64) -> f64| {
                        row.iter().map(|&x| f(f64::from(x))).sum::<f64>() / width as f64
                    };
                    let root = (mean_of(&|x| x * x) + f64::from(1e-6f32)).sqrt();
                    let mean = mean_of(&|x| x);
                    let deviation = (mean_of(&|x| (x - mean).powi(2)) + f64::from(1e-5f32)).sqrt();
                    let mean_size = mean_of(&f64::abs);
                    for column in 0..width {
                        let [x, weight, bias] = [row[column], weight[column], bias[column]].map(f64::from);
                        let expected = x / root * weight;
                        let got = f64::from(rms[at * width + column]);
                        prop_assert!((got - expected).abs() <= error(width) * expected.abs(), "rms {got} {expected}");
                        let expected = (x - mean) / deviation * weight + bias;
                        let size = (mean_size + (x - mean).abs()) / deviation * weight.abs() + bias.abs();
                        let got = f64::from(layer[at * width + column]);
                        prop_assert!((got - expected).abs() <= error(width) * size, "layer {got} {expected} {isa:?}");
                    }
                }
            }
        }

        #[test]
        fn a_row_is_the_same_alone(rows in 2usize..80, width in 1usize..1200, seed: u32) {
            let [x, weight, bias] = data(rows, width, 0.3, seed);
            for isa in Isa::available() {
                let (all_rms, all_layer) = (rms(isa, &x, &weight), layer(isa, &x, &weight, &bias));
                for (at, row) in x.chunks_exact(width).enumerate() {
                    let place = at * width..(at + 1) * width;
                    prop_assert_eq!(bits(&rms(isa, row, &weight)), bits(&all_rms[place.clone()]));
                    prop_assert_eq!(bits(&layer(isa, row, &weight, &bias)), bits(&all_layer[place]));
                }
            }
        }

        #[test]
        fn bf16_is_the_same_rounded(rows in 1usize..4, width in 1usize..300, seed: u32) {
            let [x, weight, bias] = data(rows, width, 0.3, seed);
            for isa in Isa::available() {
                let rounded = |values: Vec<f32>| values.into_iter().map(bf16::from_f32).collect::<Vec<_>>();
                let mut out = vec![bf16::NAN; x.len()];
                rms_norm(isa, &x, &weight, 1e-6, Out::Bf16(&mut out));
                prop_assert_eq!(&out, &rounded(rms(isa, &x, &weight)));
                layer_norm(isa, &x, &weight, &bias, 1e-5, Out::Bf16(&mut out));
                prop_assert_eq!(&out, &rounded(layer(isa, &x, &weight, &bias)));
            }
        }
    }

    #[test]
    fn no_rows_and_rows_of_zeros() {
        for isa in Isa::available() {
            assert!(rms(isa, &[], &[1.0; 5]).is_empty());
            assert_eq!(rms(isa, &[0.0; 10], &[1.0; 5]), [0.0; 10]);
            assert_eq!(layer(isa, &[3.0; 10], &[1.0; 5], &[0.5; 5]), [0.5; 10]);
        }
    }
}
