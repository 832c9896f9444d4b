//! The vision tower's and the projector's keys of config.json.
//!
//! Sources: `siglip_encoder.py` and `build_vision_projector` of LLaVA-NeXT; `SiglipVisionConfig` of transformers.

use super::super::error::Error;
use super::super::json::Object;

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
pub(super) const SIGLIP_SO400M: VisionConfig =
    VisionConfig { num_heads: 16, patch_size: 14, image_size: 384, layer_norm_eps: 1e-6, num_layers: None };

/// The defaults of transformers' `SiglipVisionConfig`, for keys that an HF `vision_config` leaves out.
const SIGLIP_DEFAULTS: VisionConfig =
    VisionConfig { num_heads: 12, patch_size: 16, image_size: 224, layer_norm_eps: 1e-6, num_layers: Some(12) };

/// The number of projector layers and whether GELUs stand between them (`mm_projector_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum ProjectorType {
    /// A single linear layer.
    Linear,
    /// `mlpNx_gelu`: N linear layers with GELU between them.
    Mlp {
        /// Linear layers, at least one.
        depth: usize,
    },
}

/// The tower of the original layout.
pub(super) fn original(object: &Object) -> Result<VisionConfig, Error> {
    // Some originals carry the blocks of a round trip through another class (a CLIP vision_config); only a SigLIP one
    // describes the tower that is stored.
    match object.object("vision_config")? {
        Some(block) if block.str("model_type")? == Some("siglip_vision_model") => tower(&block, SIGLIP_SO400M),
        _ => Ok(SIGLIP_SO400M),
    }
}

/// The tower of the HF layout.
pub(super) fn hugging_face(object: &Object) -> Result<VisionConfig, Error> {
    match object.object("vision_config")? {
        Some(block) => tower(&block, SIGLIP_DEFAULTS),
        None => Ok(SIGLIP_SO400M),
    }
}

/// The tower's keys; `defaults` hold for those that are absent.
fn tower(block: &Object, defaults: VisionConfig) -> Result<VisionConfig, Error> {
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

/// The projector of the original layout: `build_vision_projector` of LLaVA-NeXT `multimodal_projector/builder.py`.
pub(super) fn projector(object: &Object) -> Result<ProjectorType, Error> {
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
