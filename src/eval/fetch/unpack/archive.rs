//! An archive, what comes out of it, and what bounds that.

use std::path::PathBuf;

/// Most entries of an archive.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

/// How many times its own length an archive may unpack to. Videos do not shrink, subtitles to a fifth.
pub(super) const MAX_RATIO: u64 = 100;

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A ZIP.
    Zip,
    /// A tar, in one piece or several, to be joined as they are named.
    Tar,
}

/// A file that came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Unpacked {
    /// Below the folder, with `/` between its parts.
    pub(in super::super) path: String,
    pub(in super::super) bytes: u64,
}

/// An archive to be unpacked.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Archive<'a> {
    /// What messages call it.
    pub(in super::super) name: &'a str,
    pub(in super::super) form: Form,
    pub(in super::super) pieces: &'a [PathBuf],
}
