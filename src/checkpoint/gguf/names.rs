//! Tensor names of the original layout and what GGUF files call them.
//!
//! The decoder's names are those of llama.cpp's `qwen2` models (`gguf-py/gguf/tensor_mapping.py`), tower and projector
//! have those of its multimodal projector files (`tools/mtmd/clip-impl.h`). A name with no counterpart stays as it is.

use crate::role::{Role, layer_number};

/// What the names of a layer's tensors begin with, before the layer's number.
const DECODER_PREFIX: &str = "blk.";
const TOWER_PREFIX: &str = "v.blk.";

/// Below a layer of the decoder.
const DECODER_LAYER: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Below a layer of the tower.
const TOWER_LAYER: [(&str, &str); 8] = [
    ("layer_norm1", "ln1"),
    ("layer_norm2", "ln2"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.out_proj", "attn_out"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
];

/// Modules outside of layers.
const MODULES: [(Role, &str); 4] =
    [(Role::Embedding, "token_embd"), (Role::Norm, "output_norm"), (Role::Head, "output"), (Role::Projector, "mm")];
const TOWER_MODULES: [(&str, &str); 2] =
    [("embeddings.patch_embedding", "v.patch_embd"), ("embeddings.position_embedding", "v.position_embd")];

/// What a GGUF file calls a tensor of the original layout.
pub(super) fn to_gguf(name: &str) -> String {
    let gguf_name = |(role, part): (Role, &str)| match role {
        Role::Decoder(layer) => Some(format!("{DECODER_PREFIX}{layer}.{}", renamed(part, DECODER_LAYER)?)),
        Role::Tower(Some(layer)) => Some(format!("{TOWER_PREFIX}{layer}.{}", renamed(part, TOWER_LAYER)?)),
        Role::Tower(None) => renamed(part, TOWER_MODULES),
        Role::Embedding | Role::Head | Role::Norm | Role::Projector | Role::Token => {
            let (_, module) = MODULES.into_iter().find(|(known, _)| *known == role)?;
            Some(format!("{module}.{part}"))
        }
    };
    Role::split(name).and_then(gguf_name).unwrap_or_else(|| name.to_owned())
}

/// The name in the original layout of what a GGUF file calls `name`.
pub(super) fn from_gguf(name: &str) -> String {
    let in_layer = |prefix: &str, table: &[(&'static str, &'static str)]| {
        let (layer, part) = name.strip_prefix(prefix)?.split_once('.')?;
        Some((layer_number(layer)?, renamed(part, table.iter().map(back))?))
    };
    let of_decoder =
        || in_layer(DECODER_PREFIX, &DECODER_LAYER).map(|(layer, part)| Role::Decoder(layer).tensor(&part));
    let of_tower = || in_layer(TOWER_PREFIX, &TOWER_LAYER).map(|(layer, part)| Role::Tower(Some(layer)).tensor(&part));
    let around_tower = || renamed(name, TOWER_MODULES.iter().map(back)).map(|part| Role::Tower(None).tensor(&part));
    let of_module = |(role, module): (Role, &str)| Some(role.tensor(name.strip_prefix(module)?.strip_prefix('.')?));
    let outside = || MODULES.into_iter().find_map(of_module);
    of_decoder().or_else(of_tower).or_else(around_tower).or_else(outside).unwrap_or_else(|| name.to_owned())
}

fn back((original, gguf): &(&'static str, &'static str)) -> (&'static str, &'static str) {
    (*gguf, *original)
}

/// `name` with the module it begins with replaced, by the first pair that fits at a dot.
fn renamed<'t>(name: &str, pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Option<String> {
    let fits = |(from, to): (&str, &str)| {
        let rest = name.strip_prefix(from).filter(|rest| rest.starts_with('.'))?;
        Some(format!("{to}{rest}"))
    };
    pairs.into_iter().find_map(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let tower = |rest: &str| format!("model.vision_tower.vision_tower.vision_model.{rest}");
        for (original, gguf) in [
            ("model.embed_tokens.weight".to_owned(), "token_embd.weight"),
            ("model.norm.weight".to_owned(), "output_norm.weight"),
            ("lm_head.weight".to_owned(), "output.weight"),
            ("model.layers.12.self_attn.q_proj.bias".to_owned(), "blk.12.attn_q.bias"),
            ("model.layers.0.self_attn.o_proj.weight".to_owned(), "blk.0.attn_output.weight"),
            ("model.layers.7.mlp.down_proj.weight".to_owned(), "blk.7.ffn_down.weight"),
            ("model.layers.7.post_attention_layernorm.weight".to_owned(), "blk.7.ffn_norm.weight"),
            (tower("embeddings.patch_embedding.bias"), "v.patch_embd.bias"),
            (tower("embeddings.position_embedding.weight"), "v.position_embd.weight"),
            (tower("encoder.layers.25.self_attn.out_proj.weight"), "v.blk.25.attn_out.weight"),
            (tower("encoder.layers.3.mlp.fc1.bias"), "v.blk.3.ffn_up.bias"),
            (tower("encoder.layers.3.layer_norm2.weight"), "v.blk.3.ln2.weight"),
            ("model.mm_projector.2.bias".to_owned(), "mm.2.bias"),
            ("model.mm_projector.weight".to_owned(), "mm.weight"),
            ("model.image_newline".to_owned(), "model.image_newline"),
            ("model.faster_token".to_owned(), "model.faster_token"),
        ] {
            assert_eq!(to_gguf(&original), gguf);
            assert_eq!(from_gguf(gguf), original);
        }
    }
}
