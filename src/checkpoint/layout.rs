//! The two ways this family of models is laid out on disk, and how tensor names of one map to the other.

/// Architectures (config.json `architectures`) that can be loaded.
pub(super) const KNOWN_ARCHITECTURES: [&str; 2] = ["LlavaQwenForCausalLM", "LlavaOnevisionForConditionalGeneration"];

/// How a checkpoint is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As LLaVA-NeXT's own classes write it (`LlavaQwenForCausalLM`).
    Original,
    /// As transformers' conversion writes it (`LlavaOnevisionForConditionalGeneration`).
    HuggingFace,
}

/// Prefixes of the HF layout and what they are called in the original layout; the first that fits counts.
///
/// transformers has named these modules in three ways so far:
/// - 4.45 and the published conversions: `language_model.model`, `vision_tower.vision_model`, `image_newline`;
/// - the modules since 4.52, which some trainers save as they are: all of it below `model`, and `lm_head` beside it;
/// - 5.x: the tower loses its inner `vision_model`, in memory and in new files, which keep the other old names.
///
/// Like transformers, we map each name by itself: a file may mix the three.
const HUGGING_FACE_PREFIXES: [(&str, &str); 14] = [
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
    ("lm_head.", "lm_head."),
    ("vision_tower.vision_model.", "model.vision_tower.vision_tower.vision_model."),
    ("model.vision_tower.vision_model.", "model.vision_tower.vision_tower.vision_model."),
    ("vision_tower.", "model.vision_tower.vision_tower.vision_model."),
    ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
    ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("model.image_newline", "model.image_newline"),
    ("image_newline", "model.image_newline"),
];

impl Layout {
    /// The layout of an architecture, if it is a known one.
    pub(super) fn of_architecture(name: &str) -> Option<Self> {
        match name {
            "LlavaQwenForCausalLM" => Some(Self::Original),
            "LlavaOnevisionForConditionalGeneration" => Some(Self::HuggingFace),
            _ => None,
        }
    }

    /// What a tensor of this layout is called in the original layout, the names used throughout this program; `None`
    /// for a name that this layout does not have.
    pub(super) fn original_name(self, name: &str) -> Option<String> {
        match self {
            Self::Original => Some(name.to_owned()),
            Self::HuggingFace => HUGGING_FACE_PREFIXES
                .iter()
                .find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hf_names_map_to_original_ones() {
        let patch_bias = "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.bias";
        for (hf, original) in [
            ("language_model.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("model.language_model.norm.weight", "model.norm.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias"),
            ("model.multi_modal_projector.linear_1.bias", "model.mm_projector.0.bias"),
            ("image_newline", "model.image_newline"),
            ("model.image_newline", "model.image_newline"),
            ("vision_tower.vision_model.embeddings.patch_embedding.bias", patch_bias),
            ("model.vision_tower.vision_model.embeddings.patch_embedding.bias", patch_bias),
            ("vision_tower.embeddings.patch_embedding.bias", patch_bias),
            ("model.vision_tower.embeddings.patch_embedding.bias", patch_bias),
        ] {
            assert_eq!(Layout::HuggingFace.original_name(hf).as_deref(), Some(original));
            assert_eq!(Layout::Original.original_name(original).as_deref(), Some(original));
        }
        // What only the original layout has is no name of this one.
        for name in ["model.layers.0.mlp.up_proj.weight", "model.mm_projector.0.weight", "model.norm.weight"] {
            assert_eq!(Layout::HuggingFace.original_name(name), None, "{name}");
        }
    }
}
