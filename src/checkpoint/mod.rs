//! What is on disk: reading a checkpoint's config, and giving out its tensors by name.
//!
//! Opening reads headers and small JSON files only. Every tensor the model will ask for is checked by name and
//! shape at that time (`manifest.rs`), so that a broken checkpoint is refused before any work is done.

mod bulk;
mod config;
mod generation_config;
mod json;
mod layout;
mod manifest;
mod picture_config;
mod weights;

use std::path::{Path, PathBuf};

pub use config::{
    Config, ConfigOverride, FasterVideo, LanguageConfig, MergeType, NewlinePosition, PoolMode, VideoTokenConfig,
    VisionConfig, is_known_key,
};
pub use generation_config::GenerationDefaults;
pub use layout::Layout;
pub use manifest::{ProjectorShape, VisionShape};
pub use picture_config::{AnyresConfig, PictureAspect, PictureConfig, UnpadRounding};
pub use weights::Weights;
pub(crate) use weights::shard_names;

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
    #[error("`{}`: unknown architecture {found}; known are {}", path.display(), layout::KNOWN_ARCHITECTURES.join(" and "))]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// What `architectures` (or `model_type`) says.
        found: String,
    },
    /// A config that does not say how to look at still pictures, or asks for what is not known here.
    #[error("`{}`: this checkpoint cannot be asked about pictures: {reason}", path.display())]
    Pictures {
        /// The config file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        reason: String,
    },
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
        /// The checkpoint directory.
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
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::DamagedWeights { .. } => Some("the file may be an unfinished download; fetch it again".to_owned()),
            _ => None,
        }
    }
}

/// The first file without which `dir` cannot be a checkpoint; looks at names only.
pub fn first_missing(dir: &Path) -> Option<String> {
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

/// A checkpoint that was found complete and well-formed; no tensor has been loaded yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// The directory that holds it.
    pub dir: PathBuf,
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
    /// Opens the checkpoint in `dir`, with `overrides` applied on top of its config.json.
    ///
    /// # Errors
    /// Any [`Error`]: unreadable or malformed files, unknown architecture, and tensors that do not fit the config.
    pub fn open(dir: &Path, overrides: &[ConfigOverride]) -> Result<Self, Error> {
        let config = Config::read(dir, overrides)?;
        let generation = GenerationDefaults::read(dir, &config)?;
        let weights = Weights::open(dir, config.layout)?;
        let manifest = manifest::check(dir, &config, &weights)?;
        Ok(Self {
            dir: dir.to_owned(),
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
        self.weights.shape(&name).map_or(0, |shape| shape[0])
    }
}
