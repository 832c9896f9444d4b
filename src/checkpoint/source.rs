//! Where a checkpoint is: a directory, a GGUF file, this program itself, nowhere, or for the most part still elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::generated::Size;
use super::head::WeightHead;

/// Files that are part of the program, by name.
pub type BuiltInFiles = &'static [(&'static str, &'static [u8])];

/// Where a checkpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory, or a GGUF file.
    Path(PathBuf),
    /// A directory without its weight files, of which the heads are known: enough to plan with, not to load.
    Heads {
        /// The directory.
        dir: PathBuf,
        /// The heads of all weight files.
        heads: Arc<[WeightHead]>,
    },
    /// Files inside the program: those of a directory with one `model.safetensors`.
    BuiltIn {
        /// What to call it in messages.
        name: &'static str,
        /// The files.
        files: BuiltInFiles,
    },
    /// Random weights that are made when they are read, without a tokenizer.
    Generated {
        /// What to call it in messages.
        name: &'static str,
        /// Its sizes.
        size: Size,
    },
}

impl Source {
    /// What to call it in messages: its path, or its name.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Heads { dir: path, .. } => path,
            Self::BuiltIn { name, .. } | Self::Generated { name, .. } => Path::new(name),
        }
    }

    /// One of the files inside the program.
    pub(super) fn built_in(files: BuiltInFiles, name: &str) -> Option<&'static [u8]> {
        files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Self> for Source {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}
