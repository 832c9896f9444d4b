//! Resize and normalisation against Pillow and the reference's image processor, bit for bit.

use candle_core::Device;
use llava_video::device::DtypeRequest;
use llava_video::vision::preprocess::{normalization_table, pixel_values, resize};

use crate::support::{golden, json, placement, sha256_hex};

fn rgb(path: &std::path::Path) -> (Vec<u8>, usize, usize) {
    let image = image::open(path).unwrap().to_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    (image.into_raw(), width, height)
}

#[test]
fn every_image_processor_case_bit_for_bit() {
    let dir = golden().join("image_processor");
    let cases = json(&dir.join("cases.json"));
    let cases = cases["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    let device = placement(DtypeRequest::F32).device;
    for case in cases {
        let (input, width, height) = rgb(&dir.join(case["input"].as_str().unwrap()));
        let (expected, size, _) = rgb(&dir.join(case["resized_u8"].as_str().unwrap()));
        let resized = resize(&input, width, height, size);
        assert!(resized == expected, "{}", case["name"]);
        let values = pixel_values(&[&resized], size, &device).unwrap().flatten_all().unwrap();
        let bytes: Vec<u8> = values.to_vec1::<f32>().unwrap().iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest = sha256_hex(bytes);
        assert_eq!(digest, case["sha256_f32_chw_le"].as_str().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn the_table_is_the_references_to_the_bit() {
    let path = golden().join("image_processor/lut.safetensors");
    let table = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let table = table["u8_to_normalized_f32"].to_vec1::<f32>().unwrap();
    assert_eq!(table.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), normalization_table().map(f32::to_bits));
}
