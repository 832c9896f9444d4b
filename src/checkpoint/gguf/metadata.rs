//! The keys of a GGUF file, from a checkpoint and its text files.
//!
//! Key names are those of ggml's `docs/gguf.md` and llama.cpp's `gguf-py/gguf/constants.py`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::document_names::NAMES;
use super::super::documents::Documents;
use super::super::error::Error;
use super::super::opened::Checkpoint;
use super::keys::{VERSION, VERSION_KEY, document_key};
use crate::quantization::{Quantization, Scheme};

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// Kinds of tokens, as llama.cpp numbers them (`llama_token_type`).
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// All keys, in the order in which they are written.
pub(super) fn metadata(checkpoint: &Checkpoint, scheme: Scheme) -> Result<Vec<(String, Value)>, Error> {
    let documents = Documents::open(&checkpoint.source)?;
    let mut out: Vec<(String, Value)> = Vec::new();
    let mut add = |key: &str, value: Value| out.push((key.to_owned(), value));
    let count = |n: usize| Value::U32(u32::try_from(n).unwrap_or(u32::MAX));

    add("general.architecture", Value::Text("qwen2".to_owned()));
    add("general.type", Value::Text("model".to_owned()));
    if let Some(name) = checkpoint.source.path().file_name().and_then(|name| name.to_str()) {
        add("general.name", Value::Text(name.to_owned()));
    }
    add("general.file_type", Value::U32(file_type(scheme.quantization)));
    add("general.quantization_version", Value::U32(2));

    let language = &checkpoint.config.language;
    add("qwen2.block_count", count(language.num_layers));
    if let Some(length) = checkpoint.config.context_length {
        add("qwen2.context_length", count(length));
    }
    add("qwen2.embedding_length", count(language.hidden_size));
    add("qwen2.feed_forward_length", count(language.intermediate_size));
    add("qwen2.attention.head_count", count(language.num_heads));
    add("qwen2.attention.head_count_kv", count(language.num_kv_heads));
    add("qwen2.attention.layer_norm_rms_epsilon", Value::F32(language.rms_norm_eps as f32));
    add("qwen2.rope.freq_base", Value::F32(language.rope_theta as f32));

    let vision = &checkpoint.vision;
    add("clip.has_vision_encoder", Value::Bool(true));
    add("clip.projector_type", Value::Text("mlp".to_owned()));
    add("clip.use_gelu", Value::Bool(true));
    add("clip.vision.image_size", count(vision.image_size));
    add("clip.vision.patch_size", count(vision.patch_size));
    add("clip.vision.block_count", count(vision.num_layers));
    add("clip.vision.embedding_length", count(vision.hidden_size));
    add("clip.vision.feed_forward_length", count(checkpoint.tower_mlp_width()));
    add("clip.vision.projection_dim", count(language.hidden_size));
    add("clip.vision.attention.head_count", count(vision.num_heads));
    add("clip.vision.attention.layer_norm_epsilon", Value::F32(vision.layer_norm_eps as f32));

    let texts = texts(&documents)?;
    if let Some(tokens) = Tokens::of(&texts, checkpoint.embedding_rows) {
        add("tokenizer.ggml.model", Value::Text("gpt2".to_owned()));
        add("tokenizer.ggml.pre", Value::Text("qwen2".to_owned()));
        add("tokenizer.ggml.tokens", Value::Texts(tokens.spellings));
        add("tokenizer.ggml.token_type", Value::I32s(tokens.kinds));
        add("tokenizer.ggml.merges", Value::Texts(tokens.merges));
        if let Some(&eos) = checkpoint.generation.eos_token_ids.first() {
            add("tokenizer.ggml.eos_token_id", Value::U32(eos));
        }
    }

    add(VERSION_KEY, Value::U32(VERSION));
    add("llava_video.quantization", Value::Text(scheme.quantization.name().to_owned()));
    add("llava_video.quantization_vision", Value::Bool(scheme.vision));
    out.extend(texts.into_iter().map(|(name, text)| (document_key(name), Value::Text(text))));
    Ok(out)
}

/// `llama_ftype` of llama.h: what most matrices are in.
fn file_type(quantization: Quantization) -> u32 {
    match quantization {
        Quantization::Q8_0 => 7,
        Quantization::Q4K => 14,
        Quantization::Q5K => 16,
        Quantization::Q6K => 18,
    }
}

/// The checkpoint's text files, by name.
fn texts(documents: &Documents) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut texts = BTreeMap::new();
    for name in NAMES {
        if let Some(bytes) = documents.read(name)? {
            let not_text = |error| Error::Read {
                path: documents.path(name),
                source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
            };
            texts.insert(name, String::from_utf8(bytes).map_err(not_text)?);
        }
    }
    Ok(texts)
}

/// The vocabulary as other programs read it.
struct Tokens {
    spellings: Vec<String>,
    kinds: Vec<i32>,
    merges: Vec<String>,
}

impl Tokens {
    /// From tokenizer.json or the slow tokenizer's files, filled up to `rows` ids; `None` where they are not
    /// understood: this program does not need these keys.
    fn of(texts: &BTreeMap<&'static str, String>, rows: usize) -> Option<Self> {
        let json = |name: &str| serde_json::from_str::<Json>(texts.get(name)?).ok();
        let mut tokens = Self {
            spellings: (0..rows).map(|id| format!("[PAD{id}]")).collect(),
            kinds: vec![UNUSED; rows],
            merges: Vec::new(),
        };
        if let Some(whole) = json("tokenizer.json") {
            tokens.set_all(whole.pointer("/model/vocab")?, NORMAL)?;
            for token in whole.get("added_tokens").and_then(Json::as_array).into_iter().flatten() {
                let special = token.get("special").and_then(Json::as_bool).unwrap_or(false);
                let kind = if special { CONTROL } else { USER_DEFINED };
                tokens.set(token.get("id")?, token.get("content")?.as_str()?, kind)?;
            }
            // A pair is one text or, in newer files, two.
            let pair = |pair: &Json| match pair {
                Json::String(pair) => Some(pair.clone()),
                Json::Array(parts) => Some(format!("{} {}", parts.first()?.as_str()?, parts.get(1)?.as_str()?)),
                _ => None,
            };
            tokens.merges = whole.pointer("/model/merges")?.as_array()?.iter().map(pair).collect::<Option<_>>()?;
        } else {
            tokens.set_all(&json("vocab.json")?, NORMAL)?;
            if let Some(added) = json("added_tokens.json") {
                tokens.set_all(&added, CONTROL)?;
            }
            let lines = texts.get("merges.txt")?.lines();
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("#version"));
            tokens.merges = lines.map(str::to_owned).collect();
        }
        Some(tokens)
    }

    fn set_all(&mut self, ids: &Json, kind: i32) -> Option<()> {
        ids.as_object()?.iter().try_for_each(|(spelling, id)| self.set(id, spelling, kind))
    }

    /// Ids beyond the embedding table stand for nothing that can be generated.
    fn set(&mut self, id: &Json, spelling: &str, kind: i32) -> Option<()> {
        let id = usize::try_from(id.as_u64()?).ok()?;
        if let (Some(slot), Some(of_kind)) = (self.spellings.get_mut(id), self.kinds.get_mut(id)) {
            spelling.clone_into(slot);
            *of_kind = kind;
        }
        Some(())
    }
}
