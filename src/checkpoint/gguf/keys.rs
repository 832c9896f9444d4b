//! What marks a GGUF file, and the keys of this program's own in it.

pub(super) const MAGIC: &[u8] = b"GGUF";
pub(super) const ALIGNMENT_KEY: &str = "general.alignment";
pub(super) const DEFAULT_ALIGNMENT: usize = 32;

/// Marks a file of this program, with the version of its layout.
pub(super) const VERSION_KEY: &str = "llava_video.version";
pub(super) const VERSION: u32 = 1;

/// The key that carries a text file: `config.json` is under `llava_video.config_json`.
pub(super) fn document_key(name: &str) -> String {
    format!("llava_video.{}", name.replace('.', "_"))
}
