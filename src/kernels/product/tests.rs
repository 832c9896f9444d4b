//! Every set of instructions against sums in f64, over shapes one off each block's size; rows that depend on no others.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::kernels::panels::{Element, Panels};

const ELEMENTS: [Element; 3] = [Element::Bf16, Element::F16, Element::F32];

/// Numbers between -1 and 1 without a period.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Weights, as stored and in panels.
struct Weights {
    values: Vec<f32>,
    panels: Panels,
}

fn weights(element: Element, rows: usize, columns: usize, numbers: &mut Numbers) -> Weights {
    let raw = numbers.take(rows * columns);
    let (values, bytes): (Vec<f32>, Vec<Vec<u8>>) = raw
        .into_iter()
        .map(|x| match element {
            Element::Bf16 => (bf16::from_f32(x).to_f32(), bf16::from_f32(x).to_le_bytes().to_vec()),
            Element::F16 => (f16::from_f32(x).to_f32(), f16::from_f32(x).to_le_bytes().to_vec()),
            Element::F32 => (x, x.to_le_bytes().to_vec()),
        })
        .unzip();
    let bytes = bytes.concat();
    let stripe = 16 * columns * element.bytes();
    let panels = Panels::pack(Isa::Plain, element, rows, columns, |index, to| {
        to.copy_from_slice(&bytes[index * stripe..][..to.len()]);
        Ok::<_, ()>(())
    });
    Weights { values, panels: panels.unwrap() }
}

/// The same weights as a source that makes its panels when asked.
struct Made<'a>(&'a Panels);

impl Source for Made<'_> {
    fn element(&self) -> Element {
        self.0.element()
    }

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn columns(&self) -> usize {
        self.0.columns()
    }

    fn panels<'a>(&'a self, _isa: Isa, first: usize, count: usize, scratch: &'a mut Vec<Line>) -> &'a [u8] {
        let bytes = self.0.bytes(first, count);
        scratch.clear();
        scratch.extend(bytes.chunks(64).map(bytemuck::pod_read_unaligned::<Line>));
        bytemuck::cast_slice(scratch)
    }
}

/// A sum of products, and the sum of their magnitudes.
fn dot(x: &[f32], w: &[f32]) -> (f64, f64) {
    let products = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w));
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}

fn run(isa: Isa, x: Rows<'_>, weights: &impl Source, operands: Operands, m: usize) -> Vec<f32> {
    let width = weights.rows();
    let mut out = vec![f32::NAN; m * width];
    let epilogue = Epilogue { bias: None, then: Then::Nothing };
    product(isa, x, weights, operands, &epilogue, width, Out::F32(&mut out));
    out
}

/// Every way to multiply on this machine.
fn arithmetics() -> impl Iterator<Item = (Isa, Operands)> {
    Isa::available().into_iter().flat_map(|isa| [(isa, Operands::Exact), (isa, Operands::Bf16)])
}

fn columns() -> impl Strategy<Value = usize> {
    let powers = prop_oneof![Just(1024), Just(2048)];
    prop_oneof![4 => 1usize..40, 4 => 62usize..67, 4 => 126usize..131, 4 => 500usize..600, 1 => powers]
}

fn m() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 1usize..26, 1 => Just(47), 1 => Just(97), 1 => Just(200), 1 => Just(513)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A chain of k additions in f32 errs by at most k units of 6e-8 of the sum of magnitudes, by chance by their root:
    /// with up to 2,048 columns 2e-6 is far above what rounding does, and far below one product left out or misplaced.
    #[test]
    fn sums_are_those_of_f64(m in m(), rows in 1usize..140, columns in columns(), seed: u64, narrow: bool) {
        let mut numbers = Numbers(seed);
        let x = numbers.take(m * columns);
        let halves: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x)).collect();
        let rounded: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
        for element in ELEMENTS {
            let weights = weights(element, rows, columns, &mut numbers);
            for (isa, operands) in arithmetics() {
                let given = if narrow { Rows::Bf16(&halves) } else { Rows::F32(&x) };
                let out = run(isa, given, &weights.panels, operands, m);
                let rounds = narrow || operands == Operands::Bf16 && element == Element::Bf16;
                let x = if rounds { &rounded } else { &x };
                for (row, out) in out.chunks_exact(rows).enumerate() {
                    for (column, out) in out.iter().enumerate() {
                        let weights = &weights.values[column * columns..][..columns];
                        let (sum, size) = dot(&x[row * columns..][..columns], weights);
                        let error = (f64::from(*out) - sum).abs();
                        let what = format!("{isa:?} {element:?} {operands:?}");
                        prop_assert!(error <= 2e-6 * size, "{what}: [{row}, {column}] is off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_depends_on_no_other(m in m(), rows in 1usize..140, columns in columns(), seed: u64) {
        let mut numbers = Numbers(seed);
        let x = numbers.take(m * columns);
        for element in ELEMENTS {
            let Weights { panels, .. } = weights(element, rows, columns, &mut numbers);
            for (isa, operands) in arithmetics() {
                let whole = run(isa, Rows::F32(&x), &panels, operands, m);
                prop_assert_eq!(&run(isa, Rows::F32(&x), &Made(&panels), operands, m), &whole);
                for count in [1, 2, 3, 5, 7, 8, 11, 13] {
                    let count = count.min(m);
                    let first = seed as usize % (m - count + 1);
                    let part = run(isa, Rows::F32(&x[first * columns..][..count * columns]), &panels, operands, count);
                    let expected = &whole[first * rows..][..count * rows];
                    prop_assert!(part == expected, "{isa:?} {element:?} {operands:?}: {count} of {m}");
                }
            }
        }
    }

    #[test]
    fn what_follows_is_its_formula(
        m in 1usize..30,
        rows in 1usize..100,
        columns in 1usize..50,
        seed: u64,
        biased: bool,
    ) {
        let mut numbers = Numbers(seed);
        let x = numbers.take(m * columns);
        let addend = numbers.take(m * rows);
        let panel_rows = 32 * rows.div_ceil(16);
        for then in [Then::Nothing, Then::GeluTanh, Then::GeluErf, Then::Add(&addend), Then::SiluTimes] {
            let weight_rows = if matches!(then, Then::SiluTimes) { panel_rows } else { rows };
            let weights = weights(Element::F32, weight_rows, columns, &mut numbers);
            let bias = numbers.take(weight_rows);
            let epilogue = Epilogue { bias: biased.then_some(bias.as_slice()), then };
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; m * rows];
                let mut narrow = vec![bf16::NAN; m * rows];
                product(isa, Rows::F32(&x), &weights.panels, Operands::Exact, &epilogue, rows, Out::F32(&mut out));
                product(isa, Rows::F32(&x), &weights.panels, Operands::Exact, &epilogue, rows, Out::Bf16(&mut narrow));
                let sum = |row: usize, of: usize| {
                    let sum = dot(&x[row * columns..][..columns], &weights.values[of * columns..][..columns]).0;
                    if biased { sum + f64::from(bias[of]) } else { sum }
                };
                for (index, (&out, &narrow)) in out.iter().zip(&narrow).enumerate() {
                    let (row, column) = (index / rows, index % rows);
                    let expected = match then {
                        Then::SiluTimes => {
                            let (gate, up) = (column / 16 * 32 + column % 16, column / 16 * 32 + 16 + column % 16);
                            sum(row, gate) / (1.0 + (-sum(row, gate)).exp()) * sum(row, up)
                        }
                        Then::Nothing => sum(row, column),
                        Then::GeluTanh => gelu_tanh(sum(row, column)),
                        Then::GeluErf => gelu_erf(sum(row, column)),
                        Then::Add(to) => sum(row, column) + f64::from(to[index]),
                    };
                    // Sums of up to 50 products below 1; gate times up has both their errors.
                    prop_assert!((f64::from(out) - expected).abs() <= 2e-5, "{isa:?} {then:?}: {out} for {expected}");
                    prop_assert_eq!(narrow.to_bits(), bf16::from_f32(out).to_bits());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Enough rows and columns for every cut. Sums of magnitudes are some 4, so that sums differ by 1e-5 at most, and
    /// what follows by a few times as much; a sum in another's place would differ by far more.
    #[test]
    fn what_follows_bf16_is_what_plain_rust_makes_of_it(
        m in prop_oneof![9 => 1usize..140, 1 => Just(530)],
        rows in 1usize..90,
        columns in prop_oneof![9 => 1usize..700, 1 => 2100usize..2200],
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let x: Vec<f32> = numbers.take(m * columns).into_iter().map(|x| x * 16.0 / columns as f32).collect();
        let addend = numbers.take(m * rows);
        let panel_rows = 32 * rows.div_ceil(16);
        for then in [Then::Nothing, Then::GeluTanh, Then::GeluErf, Then::Add(&addend), Then::SiluTimes] {
            let weight_rows = if matches!(then, Then::SiluTimes) { panel_rows } else { rows };
            let weights = weights(Element::Bf16, weight_rows, columns, &mut numbers);
            let bias = numbers.take(weight_rows);
            let epilogue = Epilogue { bias: Some(&bias), then };
            let mut expected = vec![f32::NAN; m * rows];
            let run = |isa: Isa, out: Out<'_>| {
                product(isa, Rows::F32(&x), &weights.panels, Operands::Bf16, &epilogue, rows, out);
            };
            run(Isa::Plain, Out::F32(&mut expected));
            for isa in Isa::available().into_iter().filter(|isa| isa.multiplies_bf16()) {
                let mut out = vec![f32::NAN; m * rows];
                let mut narrow = vec![bf16::NAN; m * rows];
                run(isa, Out::F32(&mut out));
                run(isa, Out::Bf16(&mut narrow));
                for (index, (&out, &expected)) in out.iter().zip(&expected).enumerate() {
                    let (row, column) = (index / rows, index % rows);
                    prop_assert!((out - expected).abs() <= 1e-4, "{isa:?} {then:?}: {out} at [{row}, {column}]");
                    prop_assert_eq!(narrow[index].to_bits(), bf16::from_f32(out).to_bits());
                }
            }
        }
    }
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// By Simpson's rule over the density of the normal distribution.
fn gelu_erf(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let step = x / 400.0;
    let inner: f64 = (1..400).map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * density(f64::from(i) * step)).sum();
    x * (0.5 + (density(0.0) + inner + density(x)) * step / 3.0)
}

#[test]
fn values_that_are_no_numbers_stay_so() {
    let mut numbers = Numbers(7);
    let Weights { panels, .. } = weights(Element::Bf16, 33, 70, &mut numbers);
    for (isa, operands) in arithmetics() {
        let mut x = numbers.take(3 * 70);
        // A quiet NaN whose low bits alone say that it is none would round to infinity.
        x[75] = f32::from_bits(0x7f80_0001);
        let out = run(isa, Rows::F32(&x), &panels, operands, 3);
        for (index, value) in out.into_iter().enumerate() {
            assert_eq!(value.is_nan(), index / 33 == 1, "{isa:?} {operands:?}: {index}");
        }
    }
}
