//! What is measured, by name.

/// A stage of an answer that is measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Weights from where they are stored to where they are used.
    Load,
    /// A clip's frames, decoded and resized, its opening included.
    VideoDecode,
    /// Frames of 1280x720 pixels, resized and normalised.
    Preprocess,
    /// Pixels to patch features.
    Tower,
    /// Patch features to visual tokens: the projector, and pooling.
    Projector,
    /// A prompt.
    Prefill,
    /// New tokens after a prompt, one by one.
    Decode,
    /// New tokens of several answers, one of each in a step.
    BatchDecode,
    /// The kernel behind a layer's `down_proj`, over the positions of a prompt.
    Product,
    /// The kernel behind attention of one tower layer.
    TowerAttention,
    /// The kernel behind attention of one decoder layer, over a prompt.
    CausalAttention,
}

impl Stage {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 11] = [
        Self::Load,
        Self::VideoDecode,
        Self::Preprocess,
        Self::Tower,
        Self::Projector,
        Self::Prefill,
        Self::Decode,
        Self::BatchDecode,
        Self::Product,
        Self::TowerAttention,
        Self::CausalAttention,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::VideoDecode => "video-decode",
            Self::Preprocess => "preprocess",
            Self::Tower => "tower",
            Self::Projector => "projector",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::BatchDecode => "batch-decode",
            Self::Product => "product",
            Self::TowerAttention => "tower-attn",
            Self::CausalAttention => "causal-attn",
        }
    }

    /// Whether it is a part of another stage, which is measured only where somebody asks for it.
    pub fn is_part(self) -> bool {
        matches!(self, Self::Product | Self::TowerAttention | Self::CausalAttention)
    }

    /// Whether it takes the weights of the vision tower or of the projector.
    pub(super) fn needs_vision(self) -> bool {
        matches!(self, Self::Tower | Self::Projector)
    }

    /// Whether it takes the weights of the language model.
    pub(super) fn needs_language(self) -> bool {
        matches!(self, Self::Prefill | Self::Decode | Self::BatchDecode)
    }
}
