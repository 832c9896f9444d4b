//! Checkpoints from the hub, and the cache they are kept in: fetched, found, listed, checked and removed. Datasets come
//! the same way.
//!
//! The protocol is the hub's own: a repository is listed with sizes and checksums
//! (`/api/models/REPO/revision/REV?blobs=true`), a file is asked for at `/REPO/resolve/COMMIT/FILE`, which redirects
//! large ones to a storage host that must not see the token. The cache is the one that Python's huggingface_hub and
//! hf-hub use, so that what one of them has fetched, all can use. Nothing in it has its final name before its checksum
//! was found right.
//!
//! Facts about the protocol and the layout: huggingface_hub 2.4.0 (`file_download.py`, `constants.py`), hf-hub 0.5.

mod cache;
mod client;
mod dataset;
mod digest;
mod error;
mod events;
mod fetch;
mod folder;
mod inventory;
mod kind;
mod known;
mod listing;
mod locate;
mod lock;
mod name;
mod outline;
mod partial;
mod pull;
mod remote;
mod remove;
mod repair;
mod select;
mod session;
mod settings;
mod small_file;
mod trees;
mod verify;

pub use dataset::{Dataset, DatasetFile, Fetched, list_dataset};
pub use digest::Digest;
pub use error::Error;
pub use events::{Event, Pulled};
pub use inventory::{CachedRepo, Snapshot, inventory};
pub use kind::RepoKind;
pub(crate) use known::likely_meant;
pub use known::{DEFAULT_MODEL, KNOWN, Known};
pub use listing::Terms;
pub use locate::locate;
pub use name::RepoName;
pub use outline::{Outline, outline};
pub use pull::pull;
pub use remove::Removal;
pub use repair::repair;
pub use settings::{Settings, Token};
pub use verify::{Verdict, Verification, Verified, verify};
