//! generation_config.json -> defaults of sampling and the stop ids.

use serde_json::Value;

use super::config::Config;
use super::documents::Documents;
use super::error::Error;
use super::json::Object;

/// Keys of transformers' `GenerationConfig` that change what greedy decoding chooses and that this program does not
/// implement, with the number that switches each off, beside null and an empty list.
const UNKNOWN_RULES: [(&str, Option<f64>); 16] = [
    ("bad_words_ids", None),
    ("begin_suppress_tokens", None),
    ("encoder_no_repeat_ngram_size", Some(0.0)),
    ("encoder_repetition_penalty", Some(1.0)),
    ("exponential_decay_length_penalty", None),
    ("force_words_ids", None),
    ("forced_eos_token_id", None),
    ("guidance_scale", Some(1.0)),
    ("min_length", Some(0.0)),
    ("min_new_tokens", Some(0.0)),
    ("no_repeat_ngram_size", Some(0.0)),
    ("num_beams", Some(1.0)),
    ("penalty_alpha", Some(0.0)),
    ("sequence_bias", None),
    ("stop_strings", None),
    ("suppress_tokens", None),
];

/// What the checkpoint's authors set for generation; the command line overrides it.
///
/// `do_sample` and `temperature` are not read: decoding is greedy unless a temperature is asked for. The repetition
/// penalty stays active under greedy decoding, as it does in transformers' `generate`.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationDefaults {
    /// Generation stops on any of these ids.
    pub eos_token_ids: Vec<u32>,
    /// Factor that makes ids that were there before less likely; 1 does nothing.
    pub repetition_penalty: f64,
    /// Nucleus size, used when sampling.
    pub top_p: Option<f64>,
    /// Number of candidates, used when sampling.
    pub top_k: Option<usize>,
}

impl GenerationDefaults {
    /// Reads generation_config.json; where the file or a key is absent, `config` and transformers' defaults hold.
    ///
    /// # Errors
    /// Unreadable or malformed JSON, a value that cannot be used, or a rule that is not implemented.
    pub(super) fn read(documents: &Documents, config: &Config) -> Result<Self, Error> {
        let from_config = config.eos_token_ids.clone();
        let Some(object) = Object::read_optional(documents, "generation_config.json")? else {
            return Ok(Self { eos_token_ids: from_config, repetition_penalty: 1.0, top_p: None, top_k: None });
        };
        for (key, off) in UNKNOWN_RULES {
            if let Some(value) = object.value(key).filter(|value| !is_off(value, off)) {
                return Err(object.error(format!("{key} is {value}, which is not supported")));
            }
        }
        let repetition_penalty = object.f64("repetition_penalty")?.unwrap_or(1.0);
        if repetition_penalty <= 0.0 {
            return Err(object.error(format!("`repetition_penalty` is {repetition_penalty}, expected more than 0")));
        }
        // top_k 0 is how transformers writes "off".
        let top_k = match object.value("top_k").and_then(serde_json::Value::as_u64) {
            Some(0) => None,
            _ => object.count("top_k")?,
        };
        Ok(Self {
            eos_token_ids: object.token_ids("eos_token_id")?.unwrap_or(from_config),
            repetition_penalty,
            top_p: object.f64("top_p")?,
            top_k,
        })
    }
}

/// Whether a rule of this value does nothing.
fn is_off(value: &Value, off: Option<f64>) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        value => off.is_some() && value.as_f64() == off,
    }
}
