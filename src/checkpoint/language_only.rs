//! The language model of a checkpoint, with or without the rest: what text can be scored with.

use super::config::architecture::{Architecture, architecture};
use super::config::language;
use super::config::language::LanguageConfig;
use super::documents::Documents;
use super::error::Error;
use super::layout::Layout;
use super::manifest;
use super::opened::Checkpoint;
use super::source::Source;
use super::weights::Weights;
use crate::quantization::Scheme;

/// A decoder and its weights: a plain Qwen2 checkpoint, or the decoder of a model that sees.
#[derive(Debug)]
pub struct LanguageCheckpoint {
    /// Where it is.
    pub source: Source,
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
    /// Opens the language model of the checkpoint at `source`. `vocab_len` is asked for how many ids a model that sees
    /// can generate, which its tokenizer decides (`model::vocab_len`).
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(source: impl Into<Source>, vocab_len: impl FnOnce(&Checkpoint) -> usize) -> Result<Self, Error> {
        let source = source.into();
        let documents = Documents::open(&source)?;
        if architecture(&documents)? == Architecture::Qwen2 {
            let (config, context_length) = language::of_language_model(&documents)?;
            let weights = Weights::open(source.path(), Layout::Original)?;
            let vocab_len = manifest::check_language(source.path(), &config, &weights.tensor_names())?;
            return Ok(Self { source, config, context_length, vocab_len, weights });
        }
        let checkpoint = Checkpoint::open(source, &[])?;
        Ok(Self {
            vocab_len: vocab_len(&checkpoint),
            context_length: checkpoint.config.context_length,
            config: checkpoint.config.language,
            weights: checkpoint.weights,
            source: checkpoint.source,
        })
    }

    /// As [`Checkpoint::quantize`].
    ///
    /// # Errors
    /// As [`Checkpoint::quantize`].
    pub fn quantize(&mut self, scheme: Scheme) -> Result<(), Error> {
        self.weights.quantize(self.source.path(), scheme)
    }
}
