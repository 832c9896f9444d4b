//! The language model of a checkpoint, with or without the rest: what text can be scored with.

use std::path::{Path, PathBuf};

use super::config::{Architecture, architecture, language_only};
use super::documents::Documents;
use super::{Checkpoint, Error, LanguageConfig, Layout, Weights, manifest, set_scheme};
use crate::prompt::Tokenizer;
use crate::quantization::Scheme;

/// A decoder and its weights: a plain Qwen2 checkpoint, or the decoder of a model that sees.
#[derive(Debug)]
pub struct LanguageCheckpoint {
    /// The directory that holds it, or the GGUF file.
    pub path: PathBuf,
    /// The decoder's sizes.
    pub config: LanguageConfig,
    /// Longest sequence in tokens; `None` if the config sets no limit.
    pub context_length: Option<usize>,
    /// How many ids can be generated.
    pub vocab_len: usize,
    /// The tensors by name.
    pub weights: Weights,
}

impl LanguageCheckpoint {
    /// Opens the language model of the checkpoint at `path`, a directory or a GGUF file; `tokenizer` is its own.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(path: &Path, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let documents = Documents::open(path)?;
        if architecture(&documents)? == Architecture::Qwen2 {
            let (config, context_length) = language_only(&documents)?;
            let weights = Weights::open(path, Layout::Original)?;
            let vocab_len = manifest::check_language(path, &config, &weights)?;
            return Ok(Self { path: path.to_owned(), config, context_length, vocab_len, weights });
        }
        let checkpoint = Checkpoint::open(path, &[])?;
        Ok(Self {
            path: path.to_owned(),
            vocab_len: crate::model::vocab_len(&checkpoint, tokenizer),
            context_length: checkpoint.config.context_length,
            config: checkpoint.config.language,
            weights: checkpoint.weights,
        })
    }

    /// As [`Checkpoint::quantize`].
    ///
    /// # Errors
    /// As [`Checkpoint::quantize`].
    pub fn quantize(&mut self, scheme: Scheme) -> Result<(), Error> {
        set_scheme(&self.path, &mut self.weights, scheme)
    }
}
