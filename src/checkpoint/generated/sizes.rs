//! Sizes of the published models, and the names and shapes of their tensors.

/// A tensor's name, dtype as safetensors writes it, and shape.
pub type Shape = (String, &'static str, Vec<usize>);

/// Sizes of one member of the family; its tower is SigLIP-SO400M.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width of the decoder.
    pub hidden: usize,
    /// Width of its feed-forward layers.
    pub intermediate: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads of a decoder layer.
    pub heads: usize,
    /// Key-value heads of a decoder layer.
    pub kv_heads: usize,
    /// Rows of the embedding table.
    pub rows: usize,
    /// Whether the embedding table is the output head.
    pub tied: bool,
    /// Layers of the vision tower.
    pub tower_layers: usize,
}

/// The model of 0.5 billion parameters.
pub const HALF_B: Size = Size {
    hidden: 896,
    intermediate: 4864,
    layers: 24,
    heads: 14,
    kv_heads: 2,
    rows: 151_936,
    tied: true,
    tower_layers: 26,
};
/// The model of 7 billion parameters.
pub const SEVEN_B: Size = Size {
    hidden: 3584,
    intermediate: 18_944,
    layers: 28,
    heads: 28,
    kv_heads: 4,
    rows: 152_064,
    tied: false,
    tower_layers: 26,
};
/// The model of 72 billion parameters.
pub const SEVENTY_TWO_B: Size = Size {
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
pub const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

/// All tensors of the original layout, in the order in which PyTorch's modules list them.
pub fn original_tensors(size: &Size) -> Vec<Shape> {
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
