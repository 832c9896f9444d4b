//! Visual tokens kept on disk: a second question to a clip decodes no video and runs no tower, in any process.
//!
//! An entry is one safetensors file, named after the hash of all that decides its bits ([`Key`]). It appears under its
//! name whole and synced, and is believed only if every byte is as it was written; what is not is removed and counts as
//! missing. Everything that goes wrong here is a reason for a warning, never for a failed answer. Any number of
//! processes may use one folder at once.
//!
//! ```text
//! Content::of(clip)     all bytes of the clip -> hash
//! Identity::of(ckpt)    weights of the checkpoint, without reading them
//! Key::new(..)          these, frames, config, arithmetic, versions -> 256 bits
//! VisualCache::get      key -> visual tokens [N_v, D] on the CPU and facts, or nothing
//! VisualCache::put      key, visual tokens, facts -> an entry; the least recently used make room
//! ```

mod content;
mod entry;
mod error;
mod evict;
mod facts;
mod folder;
mod key;
mod settings;
mod store;

pub use content::Content;
pub use entry::Entry;
pub use error::Error;
pub use evict::Freed;
pub use key::{AskedFrames, Key, KeyParts};
pub use settings::{DEFAULT_CAP_BYTES, folder_from_env};
pub use store::{Lookup, Usage, VisualCache};
