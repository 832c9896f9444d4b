//! A whole checkpoint in one GGUF file: decoder, tower, projector, tokenizer and config.
//!
//! Keys and tensor names are llama.cpp's where it has them. What decides how the model is loaded are the checkpoint's
//! own text files, carried word for word under `llava_video.*`; the keys that repeat them are for other programs to
//! read. Values of one dimension (norms, biases) are stored as f32, as llama.cpp stores them.

pub(super) mod header;
mod keys;
mod metadata;
mod names;
mod write;

pub use write::write;

#[cfg(test)]
mod tests;
