//! A whole checkpoint in one GGUF file: decoder, tower, projector, tokenizer and config.
//!
//! Keys and tensor names are llama.cpp's where it has them. What decides how the model is loaded are the checkpoint's
//! own text files, carried word for word under `llava_video.*`; the keys that repeat them are for other programs to
//! read. Values of one dimension (norms, biases) are stored as f32, as llama.cpp stores them.

mod header;
mod metadata;
mod names;
mod write;

pub(crate) use header::Header;
pub use write::write;

const MAGIC: &[u8] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: usize = 32;

/// Marks a file of this program, with the version of its layout.
const VERSION_KEY: &str = "llava_video.version";
const VERSION: u32 = 1;

/// The key that carries a text file: `config.json` is under `llava_video.config_json`.
fn document_key(name: &str) -> String {
    format!("llava_video.{}", name.replace('.', "_"))
}

#[cfg(test)]
mod tests;
