//! How much is computed at once, which bounds the memory of each stage.

/// Frames, positions and scores that are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Frames that go through the vision tower together, so that memory stays flat in the number of frames.
    pub vision_batch_frames: usize,
    /// Positions that go through the decoder together in prefill.
    pub prefill_chunk_tokens: usize,
    /// Most bytes that one block of attention scores may take in f32; bounds the memory of attention whatever the
    /// length.
    pub attention_scores_bytes: usize,
}

impl Limits {
    /// What the CPU's caches like.
    pub const CPU: Self = Self { vision_batch_frames: 2, prefill_chunk_tokens: 512, attention_scores_bytes: 64 << 20 };
    /// What keeps a GPU's many cores busy.
    pub const GPU: Self =
        Self { vision_batch_frames: 8, prefill_chunk_tokens: 2048, attention_scores_bytes: 512 << 20 };
}
