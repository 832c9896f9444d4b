//! One file of a repository: as the hub lists it, and as it is fetched.

use serde::Deserialize;

use super::digest::Digest;

/// More than any listing has; what is longer is not read.
pub(super) const MAX_LISTING_BYTES: u64 = 32 << 20;

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// One file as a listing has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sibling {
    pub(super) rfilename: String,
    pub(super) size: Option<u64>,
    pub(super) blob_id: Option<String>,
    pub(super) lfs: Option<Lfs>,
}

/// What a listing adds for a file that is kept elsewhere.
#[derive(Deserialize)]
pub(super) struct Lfs {
    pub(super) sha256: String,
    pub(super) size: u64,
}
