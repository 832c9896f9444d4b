//! The Qwen2 decoder over embeddings: prefill in chunks, decode step by step, a KV cache written in place.

mod kv_cache;
mod qwen2;
mod rope;
mod self_attention;

pub use kv_cache::KvCache;
pub use qwen2::Qwen2;
