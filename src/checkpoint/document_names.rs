//! The text files of a checkpoint: their names, and how long one may be.

use std::path::Path;

use super::error::Error;

/// Text files that a GGUF file carries word for word, so that it loads exactly as the directory it was made from.
pub(crate) const NAMES: [&str; 6] =
    ["config.json", "generation_config.json", "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json"];

/// Most bytes of a vocabulary that are read. That of this family has 7 to 11 MB, the largest published ones 35 MB.
const MAX_VOCABULARY_BYTES: u64 = 64 << 20;

/// Most bytes of any other text file. Configs have a few kilobytes, the index of the largest model's shards 0.1 MB.
const MAX_OTHER_BYTES: u64 = 8 << 20;

/// Most bytes that are read of the text file `name`.
pub(crate) fn max_bytes(name: &str) -> u64 {
    match name {
        "tokenizer.json" | "vocab.json" | "merges.txt" => MAX_VOCABULARY_BYTES,
        _ => MAX_OTHER_BYTES,
    }
}

/// Refuses a text file of so many bytes if it is longer than any real one; `path` is what to call it.
pub(crate) fn check_size(path: &Path, name: &str, bytes: u64) -> Result<(), Error> {
    let max_bytes = max_bytes(name);
    match bytes > max_bytes {
        true => Err(Error::TooLarge { path: path.to_owned(), bytes, max_bytes }),
        false => Ok(()),
    }
}
