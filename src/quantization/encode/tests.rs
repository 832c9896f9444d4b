//! Blocks against ggml's own, which `scripts/compare-with-ggml.py` recorded.

use std::path::{Path, PathBuf};

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::super::blocks::Blocks;
use super::*;

const FORMATS: [Format; 4] = [Format::Q8_0, Format::Q6K, Format::Q5K, Format::Q4K];

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ggml").join(file)
}

/// One kind of rows in one format.
struct Recorded {
    what: String,
    format: Format,
    values: Vec<f32>,
    blocks: Vec<u8>,
    /// The error that ggml's blocks leave, as a part of the values; none where they hold infinities.
    relative_error: Option<f64>,
    /// Of the values that ggml reads from its blocks.
    read_sha256: String,
}

fn recorded() -> Vec<Recorded> {
    let facts = std::fs::read(fixture("blocks.json")).expect("a fixture");
    let facts: serde_json::Value = serde_json::from_slice(&facts).expect("JSON");
    let tensors = candle_core::safetensors::load(fixture("blocks.safetensors"), &Device::Cpu).expect("a fixture");
    let kinds = facts.as_object().expect("an object").iter().flat_map(|(kind, facts)| {
        let values: Vec<f32> = tensors[&format!("{kind}.values")].to_vec1().expect("a vector");
        let tensors = &tensors;
        FORMATS.map(|format| Recorded {
            what: format!("{kind} in {}", format.name()),
            format,
            values: values.clone(),
            blocks: tensors[&format!("{kind}.{}", format.name())].to_vec1().expect("bytes"),
            relative_error: facts[format.name()]["relative_error"].as_f64(),
            read_sha256: facts[format.name()]["read_sha256"].as_str().expect("a digest").to_owned(),
        })
    });
    kinds.collect()
}

/// What a program reads from `blocks`.
fn read(format: Format, values: usize, blocks: &[u8]) -> Vec<f32> {
    let mut row = Blocks::zeros(format, 1, values).expect("a row that fits");
    row.bytes_mut().copy_from_slice(blocks);
    row.widen(0..1)
}

fn own_blocks(format: Format, values: &[f32]) -> Vec<u8> {
    let mut blocks = vec![0; format.bytes(values.len())];
    encode(format, values, &mut blocks);
    blocks
}

fn relative_error(values: &[f32], read: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = values.iter().zip(read).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    (error / values.iter().map(|a| square(f64::from(*a))).sum::<f64>()).sqrt()
}

#[test]
fn ggmls_blocks_are_read_as_ggml_reads_them() {
    let all = recorded();
    assert_eq!(all.len(), 10 * FORMATS.len());
    for Recorded { what, format, values, blocks, read_sha256, .. } in all {
        let read = read(format, values.len(), &blocks);
        if read.iter().any(|value| value.is_nan()) {
            // Not every processor makes the same bits of what is no number.
            continue;
        }
        let digest = Sha256::digest(bytemuck::cast_slice::<f32, u8>(&read));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, read_sha256, "{what}");
    }
}

#[test]
fn own_blocks_leave_no_larger_error_than_ggmls() {
    for Recorded { what, format, values, relative_error: theirs, .. } in recorded() {
        let read = read(format, values.len(), &own_blocks(format, &values));
        assert!(read.iter().all(|value| value.is_finite()), "{what}: numbers, whatever the values are");
        let own = relative_error(&values, &read);
        // Sums in f64 of the same numbers may differ in their last bits.
        assert!(own <= theirs.unwrap_or(1.0) * (1.0 + 1e-9), "{what}: {own} against {theirs:?}");
        if what.starts_with("constant in") || what.starts_with("negative_constant") {
            assert!(own < 1e-3, "{what}: {own}");
        }
    }
}

/// Where ggml's blocks hold ordinary numbers, ours read the same.
#[test]
fn own_blocks_hold_the_values_of_ggmls() {
    for Recorded { what, format, values, blocks, relative_error, .. } in recorded() {
        if relative_error.is_some() {
            let (own, theirs) = (own_blocks(format, &values), blocks);
            // Equal as numbers: of zeros the sign may differ.
            assert_eq!(read(format, values.len(), &own), read(format, values.len(), &theirs), "{what}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn blocks_are_the_same_with_any_vectors() {
    for Recorded { what, format, values, .. } in recorded() {
        let blocks = |encode: &dyn Fn(&mut [u8])| {
            let mut blocks = vec![0; format.bytes(values.len())];
            encode(&mut blocks);
            blocks
        };
        let portable = blocks(&|blocks| encode_portable(format, &values, blocks));
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            assert_eq!(portable, blocks(&|blocks| unsafe { encode_avx512(format, &values, blocks) }), "{what}");
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            assert_eq!(portable, blocks(&|blocks| unsafe { encode_avx2(format, &values, blocks) }), "{what}");
        }
    }
}

#[test]
fn the_largest_floats_and_zeros_give_numbers() {
    for format in FORMATS {
        for value in [0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-40] {
            let mut values = vec![value; 512];
            values[3] = -value;
            values[77] = 0.0;
            let read = read(format, 512, &own_blocks(format, &values));
            assert!(read.iter().all(|value| value.is_finite()), "{value} in {}", format.name());
        }
    }
}
