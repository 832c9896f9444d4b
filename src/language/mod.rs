//! The Qwen2 decoder over embeddings: prefill in chunks, decode step by step, a KV cache written in place.

mod qwen2;
mod rope;

pub use qwen2::{KvCache, Qwen2};
