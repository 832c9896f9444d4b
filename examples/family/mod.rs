//! Names and shapes of the published models' tensors, the header of a weight file, and random numbers: what the
//! generator of checkpoints and the tests share.

pub(crate) mod random;

use serde_json::{Map, Value, json};

/// A tensor's name, dtype as safetensors writes it, and shape.
pub(crate) type Shape = (String, &'static str, Vec<usize>);

/// Sizes of one member of the family; its tower is SigLIP-SO400M.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) rows: usize,
    pub(crate) tied: bool,
    pub(crate) tower_layers: usize,
}

pub(crate) const HALF_B: Size = Size {
    hidden: 896,
    intermediate: 4864,
    layers: 24,
    heads: 14,
    kv_heads: 2,
    rows: 151_936,
    tied: true,
    tower_layers: 26,
};
pub(crate) const SEVEN_B: Size = Size {
    hidden: 3584,
    intermediate: 18_944,
    layers: 28,
    heads: 28,
    kv_heads: 4,
    rows: 152_064,
    tied: false,
    tower_layers: 26,
};
pub(crate) const SEVENTY_TWO_B: Size = Size {
    hidden: 8192,
    intermediate: 29_568,
    layers: 80,
    heads: 64,
    kv_heads: 8,
    rows: 152_064,
    tied: false,
    tower_layers: 26,
};

/// What the names of the tower's tensors begin with.
pub(crate) const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

/// All tensors of the original layout, in the order in which PyTorch's modules list them.
pub(crate) fn original_tensors(size: &Size) -> Vec<Shape> {
    let mut out = Vec::new();
    let mut add = |name: String, shape: &[usize]| out.push((name, "BF16", shape.to_vec()));
    let (hidden, kv) = (size.hidden, size.kv_heads * size.hidden / size.heads);
    add("model.embed_tokens.weight".to_owned(), &[size.rows, hidden]);
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
    add("model.norm.weight".to_owned(), &[hidden]);
    let mut tower = |name: &str, shape: &[usize]| add(format!("{TOWER}.{name}"), shape);
    tower("embeddings.patch_embedding.weight", &[1152, 3, 14, 14]);
    tower("embeddings.patch_embedding.bias", &[1152]);
    tower("embeddings.position_embedding.weight", &[729, 1152]);
    for layer in 0..size.tower_layers {
        let mut pair = |name: &str, weight: &[usize]| {
            tower(&format!("encoder.layers.{layer}.{name}.weight"), weight);
            tower(&format!("encoder.layers.{layer}.{name}.bias"), &weight[..1]);
        };
        for name in ["k_proj", "v_proj", "q_proj", "out_proj"] {
            pair(&format!("self_attn.{name}"), &[1152, 1152]);
        }
        pair("layer_norm1", &[1152]);
        pair("mlp.fc1", &[4304, 1152]);
        pair("mlp.fc2", &[1152, 4304]);
        pair("layer_norm2", &[1152]);
    }
    tower("post_layernorm.weight", &[1152]);
    tower("post_layernorm.bias", &[1152]);
    for (layer, input) in [(0, 1152), (2, hidden)] {
        add(format!("model.mm_projector.{layer}.weight"), &[hidden, input]);
        add(format!("model.mm_projector.{layer}.bias"), &[hidden]);
    }
    add("model.image_newline".to_owned(), &[hidden]);
    if !size.tied {
        add("lm_head.weight".to_owned(), &[size.rows, hidden]);
    }
    out
}

/// The beginning of a safetensors file that holds these tensors one after the other, and the bytes that follow it.
pub(crate) fn header(tensors: &[Shape]) -> (Vec<u8>, usize) {
    let mut entries = Map::new();
    let mut offset = 0;
    for (name, dtype, shape) in tensors {
        let width = match *dtype {
            "I64" => 8,
            "F32" => 4,
            _ => 2,
        };
        let end = offset + width * shape.iter().product::<usize>();
        entries.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] }));
        offset = end;
    }
    let mut text = Value::Object(entries).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    ([&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), offset)
}
