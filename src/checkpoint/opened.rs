//! A checkpoint that was found complete, and how its weights are to be held.

use std::path::PathBuf;

use super::config::{Config, ConfigOverride};
use super::documents::Documents;
use super::error::Error;
use super::generation_config::GenerationDefaults;
use super::gguf::header::Header;
use super::manifest::{self, ProjectorShape, VisionShape};
use super::plan::TensorPlan;
use super::source::Source;
use super::weights::Weights;
use crate::quantization::Scheme;
use crate::role::Role;

/// A checkpoint that was found complete and well-formed; no tensor has been loaded yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where it is.
    pub source: Source,
    /// What to call its config.json in messages: a path, or its place in a file or in this program.
    pub config_path: PathBuf,
    /// What config.json says, validated, with overrides applied.
    pub config: Config,
    /// What generation_config.json says.
    pub generation: GenerationDefaults,
    /// The vision tower's sizes, taken from the tensors.
    pub vision: VisionShape,
    /// The projector's layers, taken from the config.
    pub projector: ProjectorShape,
    /// Rows of the embedding table in the file; the tokenizer decides how many of them can be generated.
    pub embedding_rows: usize,
    /// The tensors by name; data are read when a tensor is loaded.
    pub weights: Weights,
}

impl Checkpoint {
    /// Opens the checkpoint at `source`, with `overrides` applied on top of its config.json.
    ///
    /// # Errors
    /// Any [`Error`]: unreadable or malformed files, unknown architecture, and tensors that do not fit the config.
    pub fn open(source: impl Into<Source>, overrides: &[ConfigOverride]) -> Result<Self, Error> {
        let source = source.into();
        let gguf = match &source {
            Source::Path(path) if path.is_file() => Some(Header::read(path)?),
            _ => None,
        };
        let documents = match &gguf {
            Some(header) => Documents::of_gguf(header)?,
            None => Documents::open(&source)?,
        };
        let mut config = Config::read(&documents, overrides)?;
        let generation = GenerationDefaults::read(&documents, &config)?;
        let weights = match (gguf, &source) {
            (Some(header), source) => Weights::of_gguf(source.path(), header)?,
            (None, Source::Path(dir)) => Weights::open(dir, config.layout)?,
            (None, Source::Heads { heads, .. }) => Weights::of_heads(source.path(), heads, config.layout)?,
            (None, Source::BuiltIn { name, files }) => Weights::of_built_in(name, files, config.layout)?,
            (None, Source::Generated { name, size }) => Weights::generated(name, size)?,
        };
        config.settle_tying(weights.shape(&Role::Head.tensor("weight")).is_some());
        let manifest = manifest::check(source.path(), &config, &weights.tensor_names())?;
        Ok(Self {
            source,
            config_path: documents.path("config.json"),
            config,
            generation,
            vision: manifest.vision,
            projector: manifest.projector,
            embedding_rows: manifest.embedding_rows,
            weights,
        })
    }

    /// Width of the tower's feed-forward layers, as its first one has it.
    pub fn tower_mlp_width(&self) -> usize {
        let name = Role::Tower(Some(0)).tensor("mlp.fc1.weight");
        self.weights.shape(&name).and_then(|shape| shape.first().copied()).unwrap_or(0)
    }

    /// Holds weights as `scheme` says once they are loaded.
    ///
    /// # Errors
    /// [`Error::AlreadyQuantized`] for a checkpoint whose matrices are in blocks as they are.
    pub fn quantize(&mut self, scheme: Scheme) -> Result<(), Error> {
        self.weights.quantize(self.source.path(), scheme)
    }

    /// How each tensor that is ever used is held, from headers alone: by the scheme that the weights are loaded by.
    pub fn plan(&self) -> Vec<TensorPlan> {
        self.plan_under(self.weights.scheme())
    }

    /// What [`Self::plan`] would be after [`Self::quantize`] with `scheme`.
    pub fn plan_if_quantized(&self, scheme: Scheme) -> Vec<TensorPlan> {
        self.plan_under(Some(scheme))
    }

    fn plan_under(&self, scheme: Option<Scheme>) -> Vec<TensorPlan> {
        let used = self.weights.names().filter(|name| !manifest::is_never_used(name, &self.config.language));
        used.filter_map(|name| TensorPlan::of(&self.weights, name, scheme)).collect()
    }
}
