//! The small text files of a checkpoint, from its directory or out of a GGUF file that carries them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, gguf};

/// Text files that a GGUF file carries word for word, so that it loads exactly as the directory it was made from.
pub(crate) const NAMES: [&str; 6] =
    ["config.json", "generation_config.json", "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json"];

/// Where the text files of one checkpoint are.
pub(crate) enum Documents {
    /// Files in a directory.
    Directory(PathBuf),
    /// Texts inside a GGUF file, by file name.
    Gguf {
        /// The GGUF file.
        path: PathBuf,
        /// The texts.
        texts: BTreeMap<&'static str, String>,
    },
}

impl Documents {
    /// Those of the checkpoint at `path`, a directory or a GGUF file.
    ///
    /// # Errors
    /// A GGUF file that is malformed, or was not made by this program.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        match path.is_file() {
            true => Ok(gguf::Header::read(path)?.documents()?),
            false => Ok(Self::Directory(path.to_owned())),
        }
    }

    /// What to call a document in messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(dir) => dir.join(name),
            Self::Gguf { path, .. } => PathBuf::from(format!("{}:{name}", path.display())),
        }
    }

    /// A document's bytes; `Ok(None)` where there is none of this name.
    pub(crate) fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        match self {
            Self::Gguf { texts, .. } => Ok(texts.get(name).map(|text| text.clone().into_bytes())),
            Self::Directory(dir) => match std::fs::read(dir.join(name)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}
