//! What is on disk: reading a checkpoint's config, and giving out its tensors by name.
//!
//! Opening reads headers and small JSON files only. Every tensor the model will ask for is checked by name and
//! shape at that time (`manifest.rs`), so that a broken checkpoint is refused before any work is done.
//!
//! Files of this folder name the file that they take something from: what stands here is for other folders.

mod bulk;
mod config;
mod document_names;
mod documents;
mod error;
pub mod generated;
mod generation_config;
pub mod gguf;
pub(crate) mod head;
mod identity;
mod json;
mod language_only;
mod layout;
mod manifest;
mod opened;
mod plan;
mod presence;
mod rows;
mod shards;
mod source;
mod tensor_names;
#[cfg(feature = "cuda")]
mod upload;
mod weights;

pub use config::language::LanguageConfig;
pub use config::pictures::{AnyresConfig, PictureAspect, PictureConfig, UnpadRounding};
pub use config::video_tokens::{FasterVideo, MergeType, NewlinePosition, PoolMode, VideoTokenConfig};
pub use config::vision::VisionConfig;
pub use config::{Config, ConfigOverride, Placeholders, is_known_key};
pub(crate) use document_names::check_size;
pub(crate) use documents::Documents;
pub use error::Error;
pub use generation_config::GenerationDefaults;
pub use head::WeightHead;
pub use identity::Identity;
pub use language_only::LanguageCheckpoint;
pub use layout::Layout;
pub use manifest::{ProjectorShape, VisionShape};
pub use opened::Checkpoint;
pub use plan::{TensorPlan, fallbacks};
pub use presence::first_missing;
pub(crate) use presence::{check_promises, first_absent};
pub(crate) use rows::HeldRows;
pub(crate) use shards::shard_names;
pub use source::{BuiltInFiles, Source};
pub use weights::Weights;

pub use crate::role::Role;
