//! config.json -> validated settings, for both layouts; the defaults are those of the reference where a key is absent.
//!
//! Sources: `LlavaMetaModel` in LLaVA-NeXT `llava_arch.py`; `load_pretrained_model` in `builder.py`;
//! `LlavaOnevisionConfig` of transformers. Each part of a config names its own.

pub(super) mod architecture;
pub(super) mod language;
pub(super) mod pictures;
pub(super) mod video_tokens;
pub(super) mod vision;

use serde_json::Value;

use super::documents::Documents;
use super::error::Error;
use super::json::Object;
use super::layout::Layout;
use architecture::{Architecture, QWEN2, named_architecture};
use language::{LanguageConfig, Reader};
use pictures::PictureConfig;
use video_tokens::VideoTokenConfig;
use vision::{ProjectorType, VisionConfig};

/// One `--set KEY=VALUE`: replaces a key of config.json before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigOverride {
    /// A key of config.json that this program reads.
    pub key: String,
    /// Its new value.
    pub value: Value,
}

/// Ids that stand for visual tokens in the prompts of transformers' class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholders {
    /// `<image>`.
    pub picture: u32,
    /// `<video>`.
    pub video: u32,
}

/// Everything config.json decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which layout the checkpoint has.
    pub layout: Layout,
    /// The decoder.
    pub language: LanguageConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The projector.
    pub(super) projector: ProjectorType,
    /// Pooling and newline tokens.
    pub video_tokens: VideoTokenConfig,
    /// How still pictures are cut and merged, or why they cannot be asked about.
    pub pictures: Result<PictureConfig, String>,
    /// Longest sequence in tokens, prompt and answer together; `None` if the config sets no limit.
    pub context_length: Option<usize>,
    /// End-of-sequence ids, used when generation_config.json names none.
    pub eos_token_ids: Vec<u32>,
    /// Special tokens that the reference's loader adds to the tokenizer, which widens the vocabulary cut.
    pub loader_added_tokens: Vec<&'static str>,
    /// What stands for visual tokens in prompts, in the HF layout.
    pub placeholders: Option<Placeholders>,
    /// Whether the config says both that the head is tied and that it is not.
    tying_is_open: bool,
}

/// Keys that `--set` may replace: those of the original layout that this program reads.
const ORIGINAL_KEYS: [&str; 23] = [
    "add_faster_video",
    "eos_token_id",
    "faster_token_stride",
    "hidden_size",
    "image_aspect_ratio",
    "image_grid_pinpoints",
    "intermediate_size",
    "max_position_embeddings",
    "mm_newline_position",
    "mm_patch_merge_type",
    "mm_projector_type",
    "mm_spatial_pool_mode",
    "mm_spatial_pool_stride",
    "mm_use_im_patch_token",
    "mm_use_im_start_end",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_theta",
    "tie_word_embeddings",
    "tokenizer_model_max_length",
    "vision_config",
];

/// Whether `--set` may name `key`.
pub fn is_known_key(key: &str) -> bool {
    ORIGINAL_KEYS.contains(&key)
}

impl Config {
    /// Reads config.json and applies `overrides`.
    ///
    /// # Errors
    /// Unreadable or malformed JSON, an unknown architecture, or a value that cannot be used.
    pub(crate) fn read(documents: &Documents, overrides: &[ConfigOverride]) -> Result<Self, Error> {
        let mut object = Object::read(documents, "config.json")?;
        let layout = match named_architecture(&object)? {
            Architecture::Seeing(layout) => layout,
            Architecture::Qwen2 => return Err(Error::LanguageOnly { path: object.path, found: QWEN2 }),
        };
        for ConfigOverride { key, value } in overrides {
            if layout == Layout::HuggingFace {
                return Err(object.error(format!("`{key}` cannot be set: the HF layout has no such key")));
            }
            object.map.insert(key.clone(), value.clone());
        }
        match layout {
            Layout::Original => Self::original(&object),
            Layout::HuggingFace => Self::hugging_face(&object),
        }
    }

    fn original(object: &Object) -> Result<Self, Error> {
        let video_tokens = video_tokens::original(object)?;
        let mut loader_added_tokens = Vec::new();
        if object.bool("mm_use_im_patch_token")?.unwrap_or(true) {
            loader_added_tokens.push("<im_patch>");
        }
        if object.bool("mm_use_im_start_end")?.unwrap_or(false) {
            loader_added_tokens.extend(["<im_start>", "<im_end>"]);
        }
        let vision = vision::original(object)?;
        let limits = [object.count("max_position_embeddings")?, object.count("tokenizer_model_max_length")?];
        Ok(Self {
            layout: Layout::Original,
            language: language::read(object, Reader::LlavaNext)?,
            pictures: pictures::original(object, video_tokens.merge_type, vision.image_size),
            vision,
            projector: vision::projector(object)?,
            video_tokens,
            context_length: limits.into_iter().flatten().min(),
            eos_token_ids: object.token_ids("eos_token_id")?.unwrap_or_default(),
            loader_added_tokens,
            placeholders: None,
            tying_is_open: false,
        })
    }

    fn hugging_face(object: &Object) -> Result<Self, Error> {
        let missing = |key: &str| object.error(format!("`{key}` is missing"));
        let mut text = object.object("text_config")?.ok_or_else(|| missing("text_config"))?;
        if let Some(other) = text.str("model_type")?.filter(|&name| name != "qwen2") {
            return Err(object.error(format!("text_config.model_type is `{other}`; only qwen2 is supported")));
        }
        // Either level may carry the flag.
        let (inner, outer) = (text.bool("tie_word_embeddings")?, object.bool("tie_word_embeddings")?);
        text.map.insert("tie_word_embeddings".to_owned(), inner.or(outer).into());
        let select = object.str("vision_feature_select_strategy")?.unwrap_or("full");
        let layer = object.value("vision_feature_layer").cloned().unwrap_or(Value::from(-1));
        if select != "full" || layer != -1 {
            let message =
                format!("vision features are `{select}` of layer {layer}; only `full` of layer -1 is supported");
            return Err(object.error(message));
        }
        if let Some(other) = object.str("projector_hidden_act")?.filter(|&act| act != "gelu") {
            return Err(object.error(format!("projector_hidden_act is `{other}`; only gelu is supported")));
        }
        let vision = vision::hugging_face(object)?;
        let placeholder = |kind: &str, default: u32| {
            let ids = match object.token_ids(&format!("{kind}_token_index"))? {
                None => object.token_ids(&format!("{kind}_token_id"))?,
                ids => ids,
            };
            Ok::<_, Error>(ids.and_then(|ids| ids.first().copied()).unwrap_or(default))
        };
        // LlavaOnevisionConfig's defaults.
        let placeholders =
            Placeholders { picture: placeholder("image", 151_646)?, video: placeholder("video", 151_647)? };
        let eos = text.token_ids("eos_token_id")?.or(object.token_ids("eos_token_id")?);
        Ok(Self {
            layout: Layout::HuggingFace,
            language: language::read(&text, Reader::Transformers)?,
            pictures: pictures::hugging_face(object, vision.image_size),
            vision,
            projector: ProjectorType::Mlp { depth: 2 },
            video_tokens: video_tokens::HUGGING_FACE,
            context_length: Some(language::context_length(&text)?),
            eos_token_ids: eos.unwrap_or_default(),
            loader_added_tokens: Vec::new(),
            placeholders: Some(placeholders),
            tying_is_open: inner == Some(false) && outer == Some(true),
        })
    }

    /// Settles whether the head is tied where the two levels of an HF config contradict each other. transformers 4 goes
    /// by the inner one, 5 ties if either says so; both write a head only where it is not tied.
    pub(super) fn settle_tying(&mut self, has_head: bool) {
        if self.tying_is_open {
            self.language.tie_word_embeddings = !has_head;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::video_tokens::{MergeType, NewlinePosition, PoolMode};
    use super::vision::SIGLIP_SO400M;
    use super::*;

    fn object(json: &str) -> Object {
        Object { path: "config.json".into(), map: serde_json::from_str(json).expect("valid JSON in a test") }
    }

    const MINIMAL: &str = r#"{"architectures": ["LlavaQwenForCausalLM"], "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "mm_projector_type": "mlp2x_gelu""#;

    fn parse(extra: &str) -> Result<Config, Error> {
        Config::original(&object(&format!("{MINIMAL}{extra}}}")))
    }

    #[test]
    fn absent_keys_take_the_references_defaults() {
        let config = parse("").expect("minimal config");
        assert_eq!(config.video_tokens.merge_type, MergeType::Flat);
        assert_eq!(config.video_tokens.newline_position, NewlinePosition::OneToken);
        assert_eq!(config.video_tokens.pool_mode, PoolMode::Bilinear);
        assert_eq!(config.video_tokens.pool_stride, 2);
        assert_eq!(config.video_tokens.faster_video, None);
        assert_eq!(config.context_length, None);
        assert_eq!(config.loader_added_tokens, ["<im_patch>"]);
        assert_eq!(config.vision, SIGLIP_SO400M);
        assert_eq!(config.language.num_kv_heads, 4);
    }

    #[test]
    fn null_counts_as_absent() {
        let config = parse(r#", "mm_spatial_pool_stride": null, "tokenizer_model_max_length": null"#).expect("nulls");
        assert_eq!(config.video_tokens.pool_stride, 2);
        assert_eq!(config.context_length, None);
    }

    #[test]
    fn the_smaller_of_both_limits_holds() {
        let config =
            parse(r#", "max_position_embeddings": 32768, "tokenizer_model_max_length": 4096"#).expect("limits");
        assert_eq!(config.context_length, Some(4096));
    }

    #[test]
    fn a_clip_vision_config_is_ignored() {
        let clip = r#", "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336}"#;
        assert_eq!(parse(clip).expect("bogus block").vision, SIGLIP_SO400M);
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (extra, part) in [
            (r#", "mm_spatial_pool_mode": "median""#, "median"),
            (r#", "mm_newline_position": "row""#, "row"),
            (r#", "mm_patch_merge_type": "spatial", "mm_newline_position": "grid""#, "unpad"),
            (r#", "mm_spatial_pool_stride": 0"#, "mm_spatial_pool_stride"),
            (r#", "mm_spatial_pool_stride": "two""#, "mm_spatial_pool_stride"),
            (r#", "use_sliding_window": true"#, "use_sliding_window"),
            (r#", "num_key_value_heads": 3"#, "key-value heads"),
        ] {
            let message = parse(extra).expect_err(extra).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
