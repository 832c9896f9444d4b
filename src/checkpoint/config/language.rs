//! The decoder's keys of config.json: at its top level, or in `text_config` in the HF layout.
//!
//! Sources: `Qwen2Config` and `modeling_rope_utils.py` of transformers; `LlavaQwenConfig` of LLaVA-NeXT, whose class
//! sets `rope_scaling` to None.

use serde_json::Value;

use super::super::documents::Documents;
use super::super::error::Error;
use super::super::json::Object;

/// Sizes and constants of the Qwen2 decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// RoPE base.
    pub rope_theta: f64,
    /// RMSNorm epsilon.
    pub rms_norm_eps: f64,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
}

impl LanguageConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// What the matrices of all layers take at two bytes a value, the fewest that safetensors files are read with.
    pub(in super::super) fn least_bytes(&self) -> u128 {
        let [hidden, mlp, layers, kv] =
            [self.hidden_size, self.intermediate_size, self.num_layers, self.num_kv_heads * self.head_dim()]
                .map(|count| count as u128);
        let values = 2 * hidden * hidden + 2 * kv * hidden + 3 * mlp * hidden;
        2 * values.saturating_mul(layers)
    }
}

/// Which class reads the decoder's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// LLaVA-NeXT's, which ignores `rope_scaling`.
    LlavaNext,
    /// transformers' Qwen2, alone or inside LLaVA-OneVision.
    Transformers,
}

/// The decoder of a plain language model, and its context length.
pub(in super::super) fn of_language_model(documents: &Documents) -> Result<(LanguageConfig, Option<usize>), Error> {
    let object = Object::read(documents, "config.json")?;
    Ok((read(&object, Reader::Transformers)?, Some(context_length(&object)?)))
}

/// Longest sequence, in tokens, that transformers' Qwen2 is made for.
pub(super) fn context_length(object: &Object) -> Result<usize, Error> {
    // Configs hold only what differs from Qwen2Config's defaults.
    Ok(object.count("max_position_embeddings")?.unwrap_or(32_768))
}

pub(super) fn read(object: &Object, reader: Reader) -> Result<LanguageConfig, Error> {
    if object.bool("use_sliding_window")?.unwrap_or(false) {
        return Err(object.error("use_sliding_window is true, which is not supported".to_owned()));
    }
    if let Some(other) = object.str("hidden_act")?.filter(|&act| act != "silu") {
        return Err(object.error(format!("hidden_act is `{other}`; only silu is supported")));
    }
    if reader == Reader::Transformers
        && let Some(types) = object.value("layer_types").filter(|types| !all_full_attention(types))
    {
        return Err(object.error(format!("layer_types is {types}; only full_attention is supported")));
    }
    // transformers 4 leaves what equals Qwen2Config's defaults out of `text_config`; at the top level it writes sizes
    // always.
    let count = |key: &str, default: usize| match reader {
        Reader::LlavaNext => object.required_count(key),
        Reader::Transformers => Ok(object.count(key)?.unwrap_or(default)),
    };
    let num_heads = count("num_attention_heads", 32)?;
    let as_many_kv_heads = match reader {
        Reader::Transformers if !object.map.contains_key("num_key_value_heads") => 32,
        _ => num_heads,
    };
    let config = LanguageConfig {
        hidden_size: count("hidden_size", 4096)?,
        intermediate_size: count("intermediate_size", 22_016)?,
        num_layers: count("num_hidden_layers", 32)?,
        num_heads,
        num_kv_heads: object.count("num_key_value_heads")?.unwrap_or(as_many_kv_heads),
        rope_theta: rope_theta(object, reader)?.unwrap_or(10_000.0),
        rms_norm_eps: object.f64("rms_norm_eps")?.unwrap_or(1e-6),
        tie_word_embeddings: object.bool("tie_word_embeddings")?.unwrap_or(false),
    };
    let heads_fit = config.hidden_size.is_multiple_of(config.num_heads)
        && config.num_heads.is_multiple_of(config.num_kv_heads)
        && config.head_dim().is_multiple_of(2);
    if !heads_fit {
        return Err(object.error(format!(
            "{} heads and {} key-value heads do not divide a hidden size of {}",
            config.num_heads, config.num_kv_heads, config.hidden_size
        )));
    }
    if config.rope_theta <= 0.0 {
        return Err(object.error(format!("`rope_theta` is {}, expected a number above 0", config.rope_theta)));
    }
    Ok(config)
}

fn all_full_attention(types: &Value) -> bool {
    types.as_array().is_some_and(|types| types.iter().all(|kind| kind == "full_attention"))
}

/// RoPE's base. transformers 4 keeps it beside `rope_scaling`, 5 inside `rope_parameters`.
fn rope_theta(object: &Object, reader: Reader) -> Result<Option<f64>, Error> {
    let mut theta = object.f64("rope_theta")?;
    let blocks: &[&str] = match reader {
        Reader::LlavaNext => &["rope_parameters"],
        Reader::Transformers => &["rope_parameters", "rope_scaling"],
    };
    for &key in blocks {
        let Some(block) = object.object(key)? else { continue };
        if reader == Reader::Transformers {
            only_plain_rope(&block, key)?;
        }
        match (theta, block.f64("rope_theta")?) {
            (Some(outer), Some(inner)) if outer != inner => {
                return Err(object.error(format!("`rope_theta` is {outer}, but {inner} in `{key}`")));
            }
            (outer, inner) => theta = outer.or(inner),
        }
    }
    Ok(theta)
}

/// Refuses positions that are scaled, and blocks that differ by layer.
fn only_plain_rope(block: &Object, key: &str) -> Result<(), Error> {
    for name in ["rope_type", "type"] {
        if let Some(other) = block.str(name)?.filter(|&kind| kind != "default") {
            return Err(block.error(format!("{key}.{name} is `{other}`; only default is supported")));
        }
    }
    match block.map.iter().find(|(_, value)| value.is_object()) {
        Some((name, value)) => {
            Err(block.error(format!("{key}.{name} is {value}; only one RoPE for all layers is supported")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(changes: Value) -> Object {
        let mut map = serde_json::Map::new();
        for (key, count) in [
            ("hidden_size", 64),
            ("intermediate_size", 96),
            ("num_hidden_layers", 2),
            ("num_attention_heads", 4),
            ("num_key_value_heads", 4),
        ] {
            map.insert(key.to_owned(), json!(count));
        }
        map.extend(changes.as_object().expect("an object").clone());
        Object { path: "config.json".into(), map }
    }

    #[test]
    fn scaled_positions_are_refused_where_the_reference_scales_them() {
        for (changes, part) in [
            (json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }), "rope_scaling.type is `linear`"),
            (json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4.0 } }), "rope_scaling.rope_type is `yarn`"),
            (json!({ "rope_parameters": { "rope_type": "dynamic" } }), "rope_parameters.rope_type is `dynamic`"),
            (json!({ "rope_parameters": { "full_attention": { "rope_theta": 1e6 } } }), "full_attention"),
            (json!({ "rope_scaling": "yarn" }), "rope_scaling"),
            (json!({ "rope_theta": 1e6, "rope_parameters": { "rope_theta": 1e4 } }), "10000 in `rope_parameters`"),
            (json!({ "layer_types": ["full_attention", "sliding_attention"] }), "layer_types"),
        ] {
            let refused = read(&object(changes.clone()), Reader::Transformers).expect_err("refused").to_string();
            assert!(refused.contains(part), "{changes}: {refused}");
        }
        for changes in [
            json!({ "rope_scaling": null, "rope_theta": 1e6 }),
            json!({ "rope_scaling": { "rope_type": "default" }, "rope_theta": 1e6 }),
            json!({ "rope_parameters": { "rope_type": "default", "rope_theta": 1e6 } }),
            json!({ "rope_theta": 1e6, "rope_parameters": { "rope_theta": 1e6 }, "layer_types": ["full_attention"] }),
        ] {
            let theta = read(&object(changes.clone()), Reader::Transformers).expect("plain RoPE").rope_theta;
            assert_eq!(theta, 1e6, "{changes}");
        }
    }

    /// `LlavaQwenForCausalLM.__init__` sets `config.rope_scaling = None`.
    #[test]
    fn the_original_class_ignores_rope_scaling() {
        let scaled = json!({ "rope_theta": 1e6, "rope_scaling": { "type": "linear", "factor": 2.0 } });
        assert_eq!(read(&object(scaled), Reader::LlavaNext).expect("ignored").rope_theta, 1e6);
    }

    #[test]
    fn transformers_leaves_its_defaults_out() {
        let object =
            |value: Value| Object { path: "config.json".into(), map: value.as_object().expect("an object").clone() };
        let config = read(&object(json!({ "rope_theta": 1e6 })), Reader::Transformers).expect("all defaults");
        assert_eq!((config.hidden_size, config.intermediate_size, config.num_layers), (4096, 22_016, 32));
        assert_eq!((config.num_heads, config.num_kv_heads), (32, 32));
        let more_heads = json!({ "hidden_size": 8192, "num_attention_heads": 64 });
        assert_eq!(read(&object(more_heads), Reader::Transformers).expect("64 heads").num_kv_heads, 32);
        let null = json!({ "num_attention_heads": 16, "num_key_value_heads": null });
        assert_eq!(read(&object(null), Reader::Transformers).expect("16 heads").num_kv_heads, 16);
        let missing = read(&object(json!({ "rope_theta": 1e6 })), Reader::LlavaNext).expect_err("no sizes");
        assert!(missing.to_string().contains("is missing"), "{missing}");
    }

    #[test]
    fn bytes_that_layers_take_at_least() {
        let config = read(&object(json!({ "num_key_value_heads": 2 })), Reader::LlavaNext).expect("a config");
        assert_eq!(config.least_bytes(), 2 * 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64));
        let endless = LanguageConfig { num_layers: usize::MAX, hidden_size: 1 << 31, ..config };
        assert!(endless.least_bytes() > u128::from(u64::MAX));
    }
}
