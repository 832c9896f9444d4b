//! The small text files of a checkpoint: from its directory, out of a GGUF file that carries them, or of the program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::source::BuiltInFiles;
use super::{Error, Source, gguf};

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
    /// Files inside the program.
    BuiltIn {
        /// What to call them.
        name: &'static str,
        /// The files.
        files: BuiltInFiles,
    },
}

impl Documents {
    /// Those of the checkpoint at `source`.
    ///
    /// # Errors
    /// A GGUF file that is malformed, or was not made by this program.
    pub(crate) fn open(source: &Source) -> Result<Self, Error> {
        match source {
            Source::Path(path) if path.is_file() => Ok(gguf::Header::read(path)?.documents()?),
            Source::Path(path) => Ok(Self::Directory(path.clone())),
            Source::BuiltIn { name, files } => Ok(Self::BuiltIn { name, files }),
        }
    }

    /// What to call a document in messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(dir) => dir.join(name),
            Self::Gguf { path, .. } => PathBuf::from(format!("{}:{name}", path.display())),
            Self::BuiltIn { name: model, .. } => PathBuf::from(format!("{model}:{name}")),
        }
    }

    /// A document's bytes; `Ok(None)` where there is none of this name.
    pub(crate) fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        match self {
            Self::Gguf { texts, .. } => Ok(texts.get(name).map(|text| text.clone().into_bytes())),
            Self::BuiltIn { files, .. } => Ok(Source::built_in(files, name).map(<[u8]>::to_vec)),
            Self::Directory(dir) => match std::fs::read(dir.join(name)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}
