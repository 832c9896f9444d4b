//! What is on disk: reading a checkpoint's config, and giving out its tensors by name.
//!
//! Opening reads headers and small JSON files only. Every tensor the model will ask for is checked by name and
//! shape at that time (`manifest.rs`), so that a broken checkpoint is refused before any work is done.

mod bulk;
mod config;
mod documents;
mod generation_config;
pub mod gguf;
pub(crate) mod head;
mod json;
mod language_only;
mod layout;
mod manifest;
mod source;
mod tensor_names;
mod weights;

use std::path::{Path, PathBuf};

pub use config::language::LanguageConfig;
pub use config::pictures::{AnyresConfig, PictureAspect, PictureConfig, UnpadRounding};
pub use config::{
    Config, ConfigOverride, FasterVideo, MergeType, NewlinePosition, Placeholders, PoolMode, VideoTokenConfig,
    VisionConfig, is_known_key,
};
pub(crate) use documents::{Documents, check_size};
pub use generation_config::GenerationDefaults;
pub use head::WeightHead;
pub use language_only::LanguageCheckpoint;
pub use layout::Layout;
pub use manifest::{ProjectorShape, VisionShape};
pub use source::{BuiltInFiles, Source};
pub use weights::Weights;
pub(crate) use weights::shard_names;

use crate::disk::NoSpace;
use crate::interrupt::Interrupted;
use crate::quantization::{Scheme, TensorPlan};
use crate::size::shown;

/// Prefix of the vision tower's tensor names.
pub(crate) const TOWER_PREFIX: &str = manifest::TOWER;

/// Everything that can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A text file longer than any real one of its name.
    #[error("`{}` has {}, more than the {} that a file of this name may have", path.display(), shown(*bytes), shown(*max_bytes))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        max_bytes: u64,
    },
    /// A JSON file that is not JSON, or not an object.
    #[error("`{}` is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A key with a value that cannot be used.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The config file.
        path: PathBuf,
        /// Which key, what was found, and what is expected.
        message: String,
    },
    /// An architecture that this program does not implement.
    #[error("`{}`: unknown architecture {found}; this program knows {}", path.display(), layout::KNOWN_ARCHITECTURES.join(" and "))]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// What `architectures` (or `model_type`) says.
        found: String,
    },
    /// A config that does not say how to look at still pictures, or asks for what is not known here.
    #[error("`{}`: this checkpoint cannot answer questions about pictures: {reason}", path.display())]
    Pictures {
        /// The config file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        reason: String,
    },
    /// A checkpoint without a vision tower.
    #[error("`{}` describes a language model ({found}), which cannot see videos", path.display())]
    LanguageOnly {
        /// The config file.
        path: PathBuf,
        /// Its architecture.
        found: &'static str,
    },
    /// A GGUF file that this program did not write, or not in this version.
    #[error("cannot use `{}`: {message}", path.display())]
    ForeignGguf {
        /// The file.
        path: PathBuf,
        /// What it is.
        message: String,
    },
    /// Quantizing what is quantized.
    #[error("`{}` is already quantized (`{name}` is {})", path.display(), format.name())]
    AlreadyQuantized {
        /// The checkpoint.
        path: PathBuf,
        /// One of its tensors.
        name: String,
        /// How it is stored.
        format: crate::quantization::Format,
    },
    /// A GGUF file that could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not enough room for a file.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// A directory with no safetensors files.
    #[error("no safetensors weights in `{}`", dir.display())]
    NoWeights {
        /// The checkpoint directory.
        dir: PathBuf,
    },
    /// A weight file that is cut short or not a safetensors file.
    #[error("weight file `{}` is damaged: {message}", path.display())]
    DamagedWeights {
        /// The weight file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Tensors missing, unexpected or of the wrong shape.
    #[error("the tensors in `{}` do not fit its config: {message}", dir.display())]
    Tensors {
        /// The checkpoint.
        dir: PathBuf,
        /// All names, by kind of fault.
        message: String,
    },
    /// A tensor could not be brought onto the device.
    #[error("cannot load tensor `{name}`")]
    Load {
        /// The tensor's name in the original layout.
        name: String,
        /// The backend's reason.
        source: candle_core::Error,
    },
    /// A file whose parts do not come to the size that was planned for it; nothing is left of it.
    #[error("cannot write `{}`: tensor `{name}` has {written} bytes where {planned} were planned", path.display())]
    Miscounted {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Bytes that were written.
        written: u64,
        /// Bytes that the head of the file promises.
        planned: u64,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LanguageOnly { .. } => {
                Some("`llava-video score --text-only FILE --model DIR` takes such a checkpoint".to_owned())
            }
            Self::ForeignGguf { .. } => {
                Some("write one from a checkpoint with `llava-video model quantize REPO -o FILE.gguf`".to_owned())
            }
            Self::AlreadyQuantized { .. } => Some("quantize the checkpoint it was made from".to_owned()),
            Self::NoSpace(_) => Some("make room, or write to a larger disk".to_owned()),
            Self::DamagedWeights { .. } => Some("the file may be an unfinished download; fetch it again".to_owned()),
            _ => None,
        }
    }
}

/// The first thing without which `dir` cannot be loaded: a file that is not there, or a weight file that is not as long
/// as its header says.
pub fn first_missing(dir: &Path) -> Option<String> {
    first_absent(dir).or_else(|| {
        let files = weights::weight_files(dir).unwrap_or_default();
        files.iter().find_map(|path| head::read(path).err()).map(|error| error.to_string())
    })
}

/// The first file without which `dir` cannot be a checkpoint; looks at names only.
pub(crate) fn first_absent(dir: &Path) -> Option<String> {
    let has = |name: &str| dir.join(name).is_file();
    if !has("config.json") {
        return Some("config.json is missing".to_owned());
    }
    let has_tokenizer = has("tokenizer.json") || (has("vocab.json") && has("merges.txt"));
    if !has_tokenizer {
        return Some("tokenizer.json is missing".to_owned());
    }
    weights::weight_files(dir).err().map(|error| error.to_string())
}

/// Checks as much of what `config` promises as can be known before any weights are there: against the tensors that the
/// index of shards in `dir` names, if there is one, and against the size of all weight files.
pub(crate) fn check_promises(dir: &Path, mut config: Config, weight_bytes: u64, is_sharded: bool) -> Result<(), Error> {
    if let Some(tensors) = weights::indexed_tensors(dir, config.layout)?.filter(|_| is_sharded) {
        config.settle_tying(tensors.holds("lm_head.weight"));
        manifest::check(dir, &config, &tensors)?;
    }
    let least_bytes = config.language.least_bytes();
    if least_bytes > u128::from(weight_bytes) {
        let message = format!(
            "config.json promises {} decoder layers, which take at least {least_bytes} bytes, and the weight files have \
             {weight_bytes}",
            config.language.num_layers
        );
        return Err(Error::Tensors { dir: dir.to_owned(), message });
    }
    Ok(())
}

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
            Source::Path(path) if path.is_file() => Some(gguf::Header::read(path)?),
            _ => None,
        };
        let documents = match &gguf {
            Some(header) => header.documents()?,
            None => Documents::open(&source)?,
        };
        let mut config = Config::read(&documents, overrides)?;
        let generation = GenerationDefaults::read(&documents, &config)?;
        let weights = match (gguf, &source) {
            (Some(header), source) => Weights::of_gguf(source.path(), header)?,
            (None, Source::Path(dir)) => Weights::open(dir, config.layout)?,
            (None, Source::Heads { heads, .. }) => Weights::of_heads(source.path(), heads, config.layout)?,
            (None, Source::BuiltIn { name, files }) => Weights::of_built_in(name, files, config.layout)?,
        };
        config.settle_tying(weights.shape("lm_head.weight").is_some());
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
        let name = format!("{TOWER_PREFIX}.encoder.layers.0.mlp.fc1.weight");
        self.weights.shape(&name).and_then(|shape| shape.first().copied()).unwrap_or(0)
    }

    /// Holds weights as `scheme` says once they are loaded.
    ///
    /// # Errors
    /// [`Error::AlreadyQuantized`] for a checkpoint whose matrices are in blocks as they are.
    pub fn quantize(&mut self, scheme: Scheme) -> Result<(), Error> {
        set_scheme(self.source.path(), &mut self.weights, scheme)
    }

    /// How each tensor that is ever used is held under `scheme` (`None`: as it is stored), from headers alone.
    pub fn plan(&self, scheme: Option<Scheme>) -> Vec<TensorPlan> {
        let used = self.weights.names().filter(|name| !manifest::is_never_used(name, &self.config.language));
        used.filter_map(|name| TensorPlan::of(&self.weights, name, scheme)).collect()
    }
}

fn set_scheme(path: &Path, weights: &mut Weights, scheme: Scheme) -> Result<(), Error> {
    let in_blocks = |name: &&str| weights.format(name).is_some_and(|format| format.float().is_none());
    if let Some((name, format)) = weights.names().find(in_blocks).and_then(|name| Some((name, weights.format(name)?))) {
        return Err(Error::AlreadyQuantized { path: path.to_owned(), name: name.to_owned(), format });
    }
    weights.set_scheme(scheme);
    Ok(())
}
