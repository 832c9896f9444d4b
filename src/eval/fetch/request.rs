//! What to fetch, and what a file is that is fetched.

use std::path::Path;

use super::unpack::Form;
use crate::eval::{Benchmark, Harness, Split};
use crate::hub::RepoName;

/// What to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// The tree of the harness, each with its own files of MVBench and MLVU.
    pub harness: Harness,
    /// Which rows.
    pub split: Split,
    /// One part of a benchmark that has several.
    pub part: Option<&'a str>,
    /// The tables, without the videos.
    pub annotations_only: bool,
    /// Another repository in place of the known ones.
    pub repository: Option<&'a RepoName>,
    /// The folder to put it in.
    pub data: &'a Path,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The rows, or some of them.
    Table,
    /// Videos in an archive, to be unpacked.
    Archive(Form),
    /// A video as it is.
    Video,
}
