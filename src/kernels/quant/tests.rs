//! Every set of instructions against blocks decoded by the formats' definition.

mod reference;

use half::bf16;
use proptest::prelude::*;

use self::reference::{Bits, dot, groups, int8_dot, random_rows, values};
use super::{Arithmetic, Format, QuantPanels, multiply};
use crate::kernels::isa::Isa;
use crate::kernels::operands::Operands;
use crate::kernels::panels::{Element, Error, PANEL_ROWS};
use crate::kernels::product::{Epilogue, Out, Rows, Source, Then, product};

const PLAIN: Epilogue<'_> = Epilogue { bias: None, then: Then::Nothing };

fn pack(isa: Isa, format: Format, rows: usize, columns: usize, bytes: &[u8]) -> QuantPanels {
    let row_bytes = format.row_bytes(columns);
    let read = |panel: usize, to: &mut [u8]| {
        to.copy_from_slice(&bytes[panel * PANEL_ROWS * row_bytes..][..to.len()]);
        Ok::<(), std::convert::Infallible>(())
    };
    QuantPanels::pack(isa, format, rows, columns, read).expect("memory")
}

/// A matrix, and its rows as ggml has them.
fn random(format: Format, rows: usize, columns: usize, bits: &mut Bits) -> (QuantPanels, Vec<Vec<u8>>) {
    let bytes = random_rows(format, rows, columns, bits);
    let by_row = bytes.chunks_exact(format.row_bytes(columns)).map(<[u8]>::to_vec).collect();
    (pack(Isa::Plain, format, rows, columns, &bytes), by_row)
}

fn steps(isa: Isa, x: &[f32], weights: &QuantPanels, arithmetic: Arithmetic) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len() / weights.columns() * weights.rows()];
    multiply(isa, Rows::F32(x), weights, arithmetic, &PLAIN, weights.rows(), Out::F32(&mut out));
    out
}

/// A format, rows, and columns, which q8_0 takes in blocks of 32 and the others in 256.
fn shapes() -> impl Strategy<Value = (Format, usize, usize)> {
    let columns = |format: Format| match format {
        Format::Q8_0 => (1..=64usize).prop_map(|blocks| blocks * 32).boxed(),
        _ => (1..=8usize).prop_map(|blocks| blocks * 256).boxed(),
    };
    let format = prop::sample::select(Format::ALL.to_vec());
    format.prop_flat_map(move |format| (Just(format), 1..100usize, columns(format)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn values_are_those_of_the_format((format, rows, columns) in shapes(), seed: u64) {
        let bytes = random_rows(format, rows, columns, &mut Bits(seed));
        let mut widened = vec![f32::NAN; columns];
        for isa in Isa::available() {
            let weights = pack(isa, format, rows, columns, &bytes);
            for (row, bytes) in bytes.chunks_exact(format.row_bytes(columns)).enumerate() {
                weights.widen_row(row, &mut widened);
                prop_assert_eq!(&widened, &values(format, bytes), "{:?} {:?}, row {}", isa, format, row);
            }
        }
    }

    #[test]
    fn panels_of_floats_hold_the_values((format, rows, columns) in shapes(), seed: u64) {
        let (weights, by_row) = random(format, rows, columns, &mut Bits(seed));
        let expected: Vec<Vec<f32>> = by_row.iter().map(|row| values(format, row)).collect();
        let value = |row: usize, column: usize| expected.get(row).map_or(0.0, |row| row[column]);
        let first = weights.len() - 1;
        for isa in Isa::available() {
            let mut scratch = Vec::new();
            let panels = weights.widened(Element::F32);
            let bytes = panels.panels(isa, first, 1, &mut scratch);
            for (at, bytes) in bytes.chunks_exact(4).enumerate() {
                let got = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                prop_assert_eq!(got, value(first * 16 + at % 16, at / 16), "{:?} {:?} {}", isa, format, at);
            }
            let panels = weights.widened(Element::Bf16);
            let bytes = panels.panels(isa, 0, weights.len(), &mut scratch);
            prop_assert_eq!(bytes.len(), weights.len() * Element::Bf16.panel_bytes(columns));
            for (at, bytes) in bytes.chunks_exact(2).enumerate() {
                let got = bf16::from_le_bytes([bytes[0], bytes[1]]);
                let (panel, at) = (at / (16 * columns), at % (16 * columns));
                let (row, column) = (panel * 16 + at / 2 % 16, at / 32 * 2 + at % 2);
                prop_assert_eq!(got, bf16::from_f32(value(row, column)), "{:?} {:?} {}", isa, format, at);
            }
        }
    }

    #[test]
    fn exact_sums_are_as_near_as_f32_allows((format, rows, columns) in shapes(), m in 1..11usize, seed: u64) {
        let mut bits = Bits(seed);
        let (weights, by_row) = random(format, rows, columns, &mut bits);
        let x = bits.activations(m * columns);
        let expected: Vec<Vec<f32>> = by_row.iter().map(|row| values(format, row)).collect();
        for isa in Isa::available() {
            let got = steps(isa, &x, &weights, Arithmetic::Exact);
            for (got, x) in got.chunks_exact(rows).zip(x.chunks_exact(columns)) {
                for (row, &got) in got.iter().enumerate() {
                    let (sum, size) = dot(&expected[row], x);
                    // One rounding a product and one an addition.
                    let bound = (columns + 1) as f64 * size * f64::from(f32::EPSILON) / 2.0;
                    prop_assert!((f64::from(got) - sum).abs() <= bound, "{isa:?} {format:?} {row}: {got} for {sum}");
                }
            }
        }
    }

    #[test]
    fn sums_of_bytes_are_those_of_integers((format, rows, columns) in shapes(), m in 1..11usize, seed: u64) {
        let mut bits = Bits(seed);
        let (weights, by_row) = random(format, rows, columns, &mut bits);
        let mut x = bits.activations(m * columns);
        x[..32].fill(0.0);
        let groups: Vec<_> = by_row.iter().map(|row| groups(format, row)).collect();
        for isa in Isa::available() {
            let got = steps(isa, &x, &weights, Arithmetic::Int8);
            for (got, x) in got.chunks_exact(rows).zip(x.chunks_exact(columns)) {
                for (row, &got) in got.iter().enumerate() {
                    let (sum, size) = int8_dot(&groups[row], x);
                    // Up to four roundings for a group, and one for adding it.
                    let bound = (groups[row].len() + 4) as f64 * size * f64::from(f32::EPSILON) / 2.0;
                    prop_assert!((f64::from(got) - sum).abs() <= bound, "{isa:?} {format:?} {row}: {got} for {sum}");
                }
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_each_other((format, rows, columns) in shapes(), m in 2..40usize, seed: u64) {
        let mut bits = Bits(seed);
        let (weights, _) = random(format, rows, columns, &mut bits);
        let x = bits.activations(m * columns);
        for isa in Isa::available() {
            for arithmetic in [Arithmetic::Exact, Arithmetic::Int8] {
                let together = steps(isa, &x, &weights, arithmetic);
                for (x, together) in x.chunks_exact(columns).zip(together.chunks_exact(rows)) {
                    let alone = steps(isa, x, &weights, arithmetic);
                    prop_assert!(alone == together, "{isa:?} {format:?} {arithmetic:?}");
                }
            }
        }
    }

    #[test]
    fn steps_and_products_finish_the_same_sums(
        (format, outputs, columns) in shapes(), m in 1..6usize, then in 0..4usize, seed: u64,
    ) {
        let mut bits = Bits(seed);
        // Gate and up panels take turns.
        let rows = if then == 3 { outputs.div_ceil(16) * 32 } else { outputs };
        let (weights, _) = random(format, rows, columns, &mut bits);
        let (x, bias) = (bits.activations(m * columns), bits.activations(rows));
        let to = bits.activations(m * outputs);
        let then = [Then::Nothing, Then::GeluTanh, Then::Add(&to), Then::SiluTimes][then];
        let epilogue = Epilogue { bias: Some(&bias), then };
        for isa in Isa::available() {
            let (mut by_step, mut by_product) = (vec![f32::NAN; m * outputs], vec![f32::NAN; m * outputs]);
            multiply(isa, Rows::F32(&x), &weights, Arithmetic::Exact, &epilogue, outputs, Out::F32(&mut by_step));
            let source = weights.widened(Element::F32);
            product(isa, Rows::F32(&x), &source, Operands::Exact, &epilogue, outputs, Out::F32(&mut by_product));
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert!(bits(&by_step) == bits(&by_product), "{isa:?} {format:?} {then:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn many_rows_in_bytes_are_finished_as_each_alone(
        (format, outputs, columns) in shapes(), m in 12..40usize, then in 0..4usize, seed: u64,
    ) {
        let mut bits = Bits(seed);
        let rows = if then == 3 { outputs.div_ceil(16) * 32 } else { outputs };
        let (weights, _) = random(format, rows, columns, &mut bits);
        let bias = bits.activations(rows);
        let x: Vec<bf16> = bits.activations(m * columns).into_iter().map(bf16::from_f32).collect();
        let to = bits.activations(m * outputs);
        for isa in Isa::available() {
            let finished = |x: Rows<'_>, to: &[f32]| {
                let then = [Then::Nothing, Then::GeluErf, Then::Add(to), Then::SiluTimes][then];
                let mut out = vec![f32::NAN; to.len()];
                let epilogue = Epilogue { bias: Some(&bias), then };
                multiply(isa, x, &weights, Arithmetic::Int8, &epilogue, outputs, Out::F32(&mut out));
                out
            };
            let together = finished(Rows::Bf16(&x), &to);
            for (index, together) in together.chunks_exact(outputs).enumerate() {
                let x: Vec<f32> = x[index * columns..][..columns].iter().map(|x| x.to_f32()).collect();
                let alone = finished(Rows::F32(&x), &to[index * outputs..][..outputs]);
                prop_assert!(alone == together, "{isa:?} {format:?} row {index} of {m}, {then}");
            }
        }
    }
}

#[test]
fn rows_of_more_than_an_item_do_not_depend_on_each_other() {
    let mut bits = Bits(5);
    for format in Format::ALL {
        let (weights, _) = random(format, 300, 768, &mut bits);
        let x = bits.activations(1100 * 768);
        for isa in Isa::available().into_iter().filter(|&isa| isa > Isa::Plain) {
            let together = steps(isa, &x, &weights, Arithmetic::Int8);
            for row in [0, 1, 511, 512, 513, 549, 550, 1099] {
                let alone = steps(isa, &x[row * 768..][..768], &weights, Arithmetic::Int8);
                assert!(alone == together[row * 300..][..300], "{isa:?} {format:?} row {row}");
            }
        }
    }
}

#[test]
fn a_failing_read_is_an_error() {
    let read = |panel: usize, _: &mut [u8]| if panel == 3 { Err(panel) } else { Ok(()) };
    let error = QuantPanels::pack(Isa::Plain, Format::Q4K, 100, 512, read).expect_err("panel 3 fails");
    assert!(matches!(error, Error::Read(3)));
}

#[test]
fn memory_is_that_of_the_panels() {
    let weights = pack(Isa::Plain, Format::Q4K, 33, 512, &random_rows(Format::Q4K, 33, 512, &mut Bits(1)));
    assert_eq!((weights.rows(), weights.columns(), weights.len(), weights.format()), (33, 512, 3, Format::Q4K));
    assert_eq!(weights.bytes(), 3 * 16 * Format::Q4K.row_bytes(512));
}

#[test]
fn what_is_no_number_stays_none_and_what_is_tiny_counts_as_zero() {
    let mut bits = Bits(3);
    for format in Format::ALL {
        let (weights, _) = random(format, 20, 256, &mut bits);
        for isa in Isa::available() {
            let mut x = vec![f32::MIN_POSITIVE; 256];
            assert!(steps(isa, &x, &weights, Arithmetic::Int8).iter().all(|&sum| sum == 0.0), "{isa:?} {format:?}");
            for bad in [f32::NAN, f32::INFINITY] {
                x[40] = bad;
                let sums = steps(isa, &x, &weights, Arithmetic::Int8);
                assert!(sums.iter().all(|sum| sum.is_nan()), "{isa:?} {format:?}: {sums:?} for {bad}");
            }
        }
    }
}
