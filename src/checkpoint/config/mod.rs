//! config.json -> validated settings, for both layouts; the defaults are those of the reference where a key is absent.
//!
//! Sources: `LlavaMetaModel`, `LlavaMetaForCausalLM.prepare_inputs_labels_for_multimodal` and `get_2dPool` in
//! LLaVA-NeXT `llava_arch.py`; `load_pretrained_model` in `builder.py`; `Qwen2Config` and
//! `LlavaOnevisionConfig` of transformers.

pub(super) mod language;
pub(super) mod pictures;

use serde_json::Value;

use super::documents::Documents;
use super::error::Error;
use super::json::Object;
use super::layout::Layout;
use language::{LanguageConfig, Reader};
use pictures::PictureConfig;

/// One `--set KEY=VALUE`: replaces a key of config.json before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigOverride {
    /// A key of config.json that this program reads.
    pub key: String,
    /// Its new value.
    pub value: Value,
}

/// How patch features are pooled (`mm_spatial_pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Interpolation to `ceil(grid / stride)`.
    Bilinear,
    /// Mean over windows; a remainder row or column is dropped.
    Average,
    /// Maximum over windows; a remainder row or column is dropped.
    Max,
}

/// Where newline tokens go among the visual tokens (`mm_newline_position`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewlinePosition {
    /// After each row of each frame.
    Grid,
    /// After each frame.
    Frame,
    /// Once, after all frames, if the merge type has `unpad`.
    OneToken,
    /// Nowhere.
    NoToken,
}

/// How visual tokens are merged (`mm_patch_merge_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeType {
    /// Tokens follow each other; the newline position is ignored.
    Flat,
    /// Newline positions apply.
    Spatial {
        /// Whether the model has an `image_newline` token.
        has_newline: bool,
    },
}

/// The slow/fast scheme of `add_faster_video`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FasterVideo {
    /// Every so many frames one is pooled with the plain stride, the others with twice that.
    pub frame_stride: usize,
}

/// How a clip becomes visual tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoTokenConfig {
    /// The pooling of each frame's patch grid.
    pub pool_mode: PoolMode,
    /// The pooling stride, in patches.
    pub pool_stride: usize,
    /// The merge type, which decides whether newlines apply.
    pub merge_type: MergeType,
    /// Where newline tokens go.
    pub newline_position: NewlinePosition,
    /// Slow/fast pooling, where switched on.
    pub faster_video: Option<FasterVideo>,
}

/// What cannot be seen in the vision tower's tensors; the rest of its sizes come from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisionConfig {
    /// Attention heads.
    pub num_heads: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Side of the square input image, in pixels.
    pub image_size: usize,
    /// LayerNorm epsilon.
    pub layer_norm_eps: f64,
    /// Layers that the config promises, if it says.
    pub num_layers: Option<usize>,
}

/// SigLIP-SO400M/14-384 as hard coded in LLaVA-NeXT's `siglip_encoder.py`.
const SIGLIP_SO400M: VisionConfig =
    VisionConfig { num_heads: 16, patch_size: 14, image_size: 384, layer_norm_eps: 1e-6, num_layers: None };

/// The defaults of transformers' `SiglipVisionConfig`, for keys that an HF `vision_config` leaves out.
const SIGLIP_DEFAULTS: VisionConfig =
    VisionConfig { num_heads: 12, patch_size: 16, image_size: 224, layer_norm_eps: 1e-6, num_layers: Some(12) };

/// Ids that stand for visual tokens in the prompts of transformers' class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholders {
    /// `<image>`.
    pub picture: u32,
    /// `<video>`.
    pub video: u32,
}

/// The number of projector layers and whether GELUs stand between them (`mm_projector_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProjectorType {
    /// A single linear layer.
    Linear,
    /// `mlpNx_gelu`: N linear layers with GELU between them.
    Mlp {
        /// Linear layers, at least one.
        depth: usize,
    },
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
        let merge_type = match object.str("mm_patch_merge_type")?.unwrap_or("flat") {
            "flat" => MergeType::Flat,
            spatial if spatial.starts_with("spatial") => MergeType::Spatial { has_newline: spatial.contains("unpad") },
            other => {
                return Err(object.error(format!("mm_patch_merge_type is `{other}`, expected flat or spatial*")));
            }
        };
        let newline_position = match object.str("mm_newline_position")?.unwrap_or("one_token") {
            "grid" => NewlinePosition::Grid,
            "frame" => NewlinePosition::Frame,
            "one_token" => NewlinePosition::OneToken,
            "no_token" => NewlinePosition::NoToken,
            other => {
                let expected = "expected grid, frame, one_token or no_token";
                return Err(object.error(format!("mm_newline_position is `{other}`, {expected}")));
            }
        };
        let needs_newline = matches!(newline_position, NewlinePosition::Grid | NewlinePosition::Frame);
        if merge_type == (MergeType::Spatial { has_newline: false }) && needs_newline {
            let message = "mm_newline_position needs a newline token, but mm_patch_merge_type has no `unpad`";
            return Err(object.error(message.to_owned()));
        }
        let pool_mode = match object.str("mm_spatial_pool_mode")?.unwrap_or("bilinear") {
            "bilinear" => PoolMode::Bilinear,
            "average" => PoolMode::Average,
            "max" => PoolMode::Max,
            other => {
                let expected = "expected bilinear, average or max";
                return Err(object.error(format!("mm_spatial_pool_mode is `{other}`, {expected}")));
            }
        };
        let faster_video = match object.bool("add_faster_video")?.unwrap_or(false) {
            true => Some(FasterVideo { frame_stride: object.count("faster_token_stride")?.unwrap_or(10) }),
            false => None,
        };
        let mut loader_added_tokens = Vec::new();
        if object.bool("mm_use_im_patch_token")?.unwrap_or(true) {
            loader_added_tokens.push("<im_patch>");
        }
        if object.bool("mm_use_im_start_end")?.unwrap_or(false) {
            loader_added_tokens.extend(["<im_start>", "<im_end>"]);
        }
        // Some originals carry the blocks of a round trip through another class (a CLIP vision_config); only a
        // SigLIP one describes the tower that is stored.
        let vision = match object.object("vision_config")? {
            Some(block) if block.str("model_type")? == Some("siglip_vision_model") => vision(&block, SIGLIP_SO400M)?,
            _ => SIGLIP_SO400M,
        };
        let limits = [object.count("max_position_embeddings")?, object.count("tokenizer_model_max_length")?];
        Ok(Self {
            layout: Layout::Original,
            language: language::read(object, Reader::LlavaNext)?,
            pictures: pictures::original(object, merge_type, vision.image_size),
            vision,
            projector: projector(object)?,
            video_tokens: VideoTokenConfig {
                pool_mode,
                pool_stride: object.count("mm_spatial_pool_stride")?.unwrap_or(2),
                merge_type,
                newline_position,
                faster_video,
            },
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
        let vision = match object.object("vision_config")? {
            Some(block) => vision(&block, SIGLIP_DEFAULTS)?,
            None => SIGLIP_SO400M,
        };
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
            // `apply_pooling` of modeling_llava_onevision.py: bilinear to ceil(g / 2), then one newline per clip.
            video_tokens: VideoTokenConfig {
                pool_mode: PoolMode::Bilinear,
                pool_stride: 2,
                merge_type: MergeType::Spatial { has_newline: true },
                newline_position: NewlinePosition::OneToken,
                faster_video: None,
            },
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

/// The architecture of a language model without a vision tower.
const QWEN2: &str = "Qwen2ForCausalLM";

/// What kind of model a config describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    /// One that takes videos, in this layout.
    Seeing(Layout),
    /// The plain language model.
    Qwen2,
}

/// The architecture that config.json names.
pub(super) fn architecture(documents: &Documents) -> Result<Architecture, Error> {
    named_architecture(&Object::read(documents, "config.json")?)
}

/// What the `architectures` key (or, where that is absent, `model_type`) names. `model_type` alone is not trusted:
/// several originals say `llava`.
fn named_architecture(object: &Object) -> Result<Architecture, Error> {
    let unknown = |found: String| Error::UnknownArchitecture { path: object.path.clone(), found };
    match object.value("architectures") {
        Some(Value::Array(names)) if !names.is_empty() => {
            let mut names = names.iter().filter_map(Value::as_str);
            let listed = names.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = |name| match name {
                QWEN2 => Some(Architecture::Qwen2),
                _ => Layout::of_architecture(name).map(Architecture::Seeing),
            };
            names.find_map(known).ok_or_else(|| unknown(listed))
        }
        _ => match object.str("model_type")? {
            Some("llava_qwen") => Ok(Architecture::Seeing(Layout::Original)),
            Some("llava_onevision") => Ok(Architecture::Seeing(Layout::HuggingFace)),
            Some("qwen2") => Ok(Architecture::Qwen2),
            Some(other) => Err(unknown(format!("(model_type `{other}`)"))),
            None => Err(unknown("(it has neither `architectures` nor `model_type`)".to_owned())),
        },
    }
}

/// The tower's keys; `defaults` hold for those that are absent.
fn vision(block: &Object, defaults: VisionConfig) -> Result<VisionConfig, Error> {
    if let Some(other) = block.str("model_type")?.filter(|&name| name != "siglip_vision_model") {
        return Err(
            block.error(format!("vision_config.model_type is `{other}`; only siglip_vision_model is supported"))
        );
    }
    if let Some(other) = block.str("hidden_act")?.filter(|&act| act != "gelu_pytorch_tanh") {
        return Err(block.error(format!("vision_config.hidden_act is `{other}`; only gelu_pytorch_tanh is supported")));
    }
    Ok(VisionConfig {
        num_heads: block.count("num_attention_heads")?.unwrap_or(defaults.num_heads),
        patch_size: block.count("patch_size")?.unwrap_or(defaults.patch_size),
        image_size: block.count("image_size")?.unwrap_or(defaults.image_size),
        layer_norm_eps: block.f64("layer_norm_eps")?.unwrap_or(defaults.layer_norm_eps),
        num_layers: block.count("num_hidden_layers")?.or(defaults.num_layers),
    })
}

/// `build_vision_projector` of LLaVA-NeXT `multimodal_projector/builder.py`.
fn projector(object: &Object) -> Result<ProjectorType, Error> {
    if let Some(other) = object.str("mm_resampler_type")? {
        return Err(object.error(format!("mm_resampler_type is `{other}`; only null is supported")));
    }
    let name = object.str("mm_projector_type")?.unwrap_or("linear");
    if name == "linear" {
        return Ok(ProjectorType::Linear);
    }
    let depth = name.strip_prefix("mlp").and_then(|rest| rest.strip_suffix("x_gelu")).and_then(|n| n.parse().ok());
    match depth {
        Some(depth) if (1..=16).contains(&depth) => Ok(ProjectorType::Mlp { depth }),
        _ => Err(object.error(format!("mm_projector_type is `{name}`, expected linear or mlpNx_gelu"))),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn model_type_llava_does_not_hide_the_architecture() {
        let config = object(r#"{"architectures": ["LlavaQwenForCausalLM"], "model_type": "llava"}"#);
        assert_eq!(named_architecture(&config).expect("known"), Architecture::Seeing(Layout::Original));
        let plain = object(r#"{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}"#);
        assert_eq!(named_architecture(&plain).expect("known"), Architecture::Qwen2);
        let message =
            named_architecture(&object(r#"{"architectures": ["MambaForCausalLM"]}"#)).expect_err("unknown").to_string();
        assert!(message.contains("MambaForCausalLM") && message.contains("LlavaQwenForCausalLM"), "{message}");
    }
}
