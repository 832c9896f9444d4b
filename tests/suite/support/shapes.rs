//! Checkpoints of the published models' real names and shapes, without their weights: the files are holes.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

/// A tensor's name, dtype as safetensors writes it, and shape.
pub(crate) type Shape = (String, &'static str, Vec<usize>);

/// Sizes of one member of the family.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) rows: usize,
    pub(crate) tied: bool,
}

pub(crate) const HALF_B: Size =
    Size { hidden: 896, intermediate: 4864, layers: 24, heads: 14, kv_heads: 2, rows: 151_936, tied: true };
pub(crate) const SEVEN_B: Size =
    Size { hidden: 3584, intermediate: 18_944, layers: 28, heads: 28, kv_heads: 4, rows: 152_064, tied: false };
pub(crate) const SEVENTY_TWO_B: Size =
    Size { hidden: 8192, intermediate: 29_568, layers: 80, heads: 64, kv_heads: 8, rows: 152_064, tied: false };

const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

/// All tensors in the original layout.
pub(crate) fn original_tensors(size: &Size) -> Vec<Shape> {
    let mut out = Vec::new();
    let mut add = |name: String, shape: &[usize]| out.push((name, "BF16", shape.to_vec()));
    let (hidden, kv) = (size.hidden, size.kv_heads * size.hidden / size.heads);
    add("model.embed_tokens.weight".to_owned(), &[size.rows, hidden]);
    if !size.tied {
        add("lm_head.weight".to_owned(), &[size.rows, hidden]);
    }
    add("model.norm.weight".to_owned(), &[hidden]);
    add("model.image_newline".to_owned(), &[hidden]);
    for (layer, input) in [(0, 1152), (2, hidden)] {
        add(format!("model.mm_projector.{layer}.weight"), &[hidden, input]);
        add(format!("model.mm_projector.{layer}.bias"), &[hidden]);
    }
    for layer in 0..size.layers {
        let mut add = |name: &str, shape: &[usize]| add(format!("model.layers.{layer}.{name}"), shape);
        for (name, rows) in [("q_proj", hidden), ("k_proj", kv), ("v_proj", kv)] {
            add(&format!("self_attn.{name}.weight"), &[rows, hidden]);
            add(&format!("self_attn.{name}.bias"), &[rows]);
        }
        add("self_attn.o_proj.weight", &[hidden, hidden]);
        add("mlp.gate_proj.weight", &[size.intermediate, hidden]);
        add("mlp.up_proj.weight", &[size.intermediate, hidden]);
        add("mlp.down_proj.weight", &[hidden, size.intermediate]);
        add("input_layernorm.weight", &[hidden]);
        add("post_attention_layernorm.weight", &[hidden]);
    }
    let mut tower = |name: &str, shape: &[usize]| add(format!("{TOWER}.{name}"), shape);
    tower("embeddings.patch_embedding.weight", &[1152, 3, 14, 14]);
    tower("embeddings.patch_embedding.bias", &[1152]);
    tower("embeddings.position_embedding.weight", &[729, 1152]);
    tower("post_layernorm.weight", &[1152]);
    tower("post_layernorm.bias", &[1152]);
    for layer in 0..26 {
        let mut pair = |name: &str, weight: &[usize]| {
            tower(&format!("encoder.layers.{layer}.{name}.weight"), weight);
            tower(&format!("encoder.layers.{layer}.{name}.bias"), &weight[..1]);
        };
        for name in ["k_proj", "v_proj", "q_proj", "out_proj"] {
            pair(&format!("self_attn.{name}"), &[1152, 1152]);
        }
        pair("layer_norm1", &[1152]);
        pair("layer_norm2", &[1152]);
        pair("mlp.fc1", &[4304, 1152]);
        pair("mlp.fc2", &[1152, 4304]);
    }
    out
}

/// Which names transformers gives the tensors.
#[derive(Clone, Copy)]
pub(crate) enum HfNames {
    /// `language_model.model.*`, as the published conversions have it.
    Older,
    /// `model.language_model.*`, as transformers saves since 4.52.
    Newer,
}

/// A name of the original layout as transformers has it.
pub(crate) fn hf_name(name: &str, names: HfNames) -> String {
    let table: [(&str, &str, &str); 6] = [
        (TOWER, "vision_tower.vision_model", "model.vision_tower.vision_model"),
        ("model.mm_projector.0", "multi_modal_projector.linear_1", "model.multi_modal_projector.linear_1"),
        ("model.mm_projector.2", "multi_modal_projector.linear_2", "model.multi_modal_projector.linear_2"),
        ("model.image_newline", "image_newline", "model.image_newline"),
        ("lm_head", "language_model.lm_head", "lm_head"),
        ("model", "language_model.model", "model.language_model"),
    ];
    let renamed = table.iter().find_map(|(original, older, newer)| {
        let rest = name.strip_prefix(original)?;
        Some(format!("{}{rest}", if matches!(names, HfNames::Older) { older } else { newer }))
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
    let mut header = Map::new();
    let mut offset = 0;
    for (name, dtype, shape) in tensors {
        let width = match *dtype {
            "I64" => 8,
            "F32" => 4,
            _ => 2,
        };
        let end = offset + width * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] }));
        offset = end;
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + offset) as u64).unwrap();
}
