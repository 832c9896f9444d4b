//! What each stage has alive at once, weights and KV cache apart.

/// Bytes that are alive at once on one device in each stage, beside weights and KV cache. Stages follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StagePeaks {
    /// While weights are read, what is there beside them.
    pub load: u64,
    /// Tower, projector and pooling.
    pub vision: u64,
    /// Prefill, visual tokens and embeddings of the prompt included.
    pub prefill: u64,
    /// A decode step.
    pub decode: u64,
}

impl StagePeaks {
    /// The most of all stages.
    pub fn most(&self) -> u64 {
        [self.load, self.vision, self.prefill, self.decode].into_iter().max().unwrap_or(0)
    }
}
