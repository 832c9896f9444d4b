//! Checkpoints of the published models' real names and shapes, without their weights: the files are holes.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

pub(crate) use llava_video::checkpoint::generated::{HALF_B, SEVEN_B, SEVENTY_TWO_B, Shape, Size, original_tensors};
use llava_video::checkpoint::generated::{TOWER, header};

/// Which names transformers gives the tensors.
#[derive(Clone, Copy)]
pub(crate) enum HfNames {
    /// `language_model.model.*`, as the published conversions have it.
    Older,
    /// `model.language_model.*`, as the modules are called since 4.52.
    Newer,
    /// `language_model.model.*`, and a tower without `vision_model`, as transformers 5 saves.
    Version5,
}

/// A name of the original layout as transformers has it.
pub(crate) fn hf_name(name: &str, names: HfNames) -> String {
    let tower = if matches!(names, HfNames::Version5) { "vision_tower" } else { "vision_tower.vision_model" };
    let table = [
        (TOWER, tower, "model.vision_tower.vision_model"),
        ("model.mm_projector.0", "multi_modal_projector.linear_1", "model.multi_modal_projector.linear_1"),
        ("model.mm_projector.2", "multi_modal_projector.linear_2", "model.multi_modal_projector.linear_2"),
        ("model.image_newline", "image_newline", "model.image_newline"),
        ("lm_head", "language_model.lm_head", "lm_head"),
        ("model", "language_model.model", "model.language_model"),
    ];
    let renamed = table.iter().find_map(|(original, saved, module)| {
        let rest = name.strip_prefix(original)?;
        Some(format!("{}{rest}", if matches!(names, HfNames::Newer) { module } else { saved }))
    });
    renamed.unwrap()
}

/// Writes config.json and the tensors, dealt out to `shards` files.
pub(crate) fn write(dir: &Path, config: &Value, tensors: &[Shape], shards: usize) {
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    if shards == 1 {
        return write_file(&dir.join("model.safetensors"), tensors);
    }
    let mut weight_map = Map::new();
    for (index, shard) in tensors.chunks(tensors.len().div_ceil(shards)).enumerate() {
        let name = format!("model-{:05}-of-{shards:05}.safetensors", index + 1);
        weight_map.extend(shard.iter().map(|(tensor, ..)| (tensor.clone(), json!(name))));
        write_file(&dir.join(name), shard);
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// A header, and a hole where the data would be.
fn write_file(path: &Path, tensors: &[Shape]) {
    let (header, data_bytes) = header(tensors);
    let mut file = File::create(path).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((header.len() + data_bytes) as u64).unwrap();
}
