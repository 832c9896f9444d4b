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

/// Prefixes of the HF layout and what they are called in the original layout. Newer transformers save
/// `model.language_model.*` where older ones save `language_model.model.*`.
const HUGGING_FACE_PREFIXES: [(&str, &str); 12] = [
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
    ("vision_tower.vision_model.", "model.vision_tower.vision_tower.vision_model."),
    ("model.vision_tower.vision_model.", "model.vision_tower.vision_tower.vision_model."),
    ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("model.image_newline", "model.image_newline"),
    ("image_newline", "model.image_newline"),
    ("lm_head.", "lm_head."),
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

    /// What a tensor of this layout is called in the original layout, the names used throughout this program.
    /// A name with no counterpart stays as it is and is later reported as unexpected.
    pub(super) fn original_name(self, name: &str) -> String {
        if self == Self::HuggingFace {
            for (from, to) in HUGGING_FACE_PREFIXES {
                if let Some(rest) = name.strip_prefix(from) {
                    return format!("{to}{rest}");
                }
            }
        }
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hf_names_map_to_original_ones() {
        for (hf, original) in [
            ("language_model.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("model.language_model.norm.weight", "model.norm.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias"),
            ("image_newline", "model.image_newline"),
            (
                "vision_tower.vision_model.embeddings.patch_embedding.bias",
                "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.bias",
            ),
        ] {
            assert_eq!(Layout::HuggingFace.original_name(hf), original);
            assert_eq!(Layout::Original.original_name(original), original);
        }
    }
}
