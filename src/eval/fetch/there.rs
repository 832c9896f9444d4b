//! How many rows have their video, now that everything that can be fetched is there.

use std::collections::BTreeSet;

use super::error::FetchError;
use super::request::Request;
use crate::eval::data;
use crate::eval::videos::{Video, locate};

/// Rows and videos of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// Rows of the tables.
    pub rows: usize,
    /// Rows whose video is there.
    pub rows_with_video: usize,
    /// Where the videos that are missing should be, each once.
    pub missing: BTreeSet<String>,
}

/// Looks for the video of each row, as a run will.
///
/// # Errors
/// Tables that are not there, or cannot be read.
pub fn there(request: &Request) -> Result<There, FetchError> {
    let rows = data::read(request.data, request.benchmark, request.split, request.part)?.rows;
    let mut there = There { rows: rows.len(), rows_with_video: 0, missing: BTreeSet::new() };
    for row in rows {
        match locate(request.data, request.benchmark, request.harness, request.split, &row) {
            Ok(Video::Clip(_) | Video::Frames(_)) => there.rows_with_video += 1,
            Ok(Video::Missing(missing)) => {
                let place = missing.tried.first().map(|path| path.display().to_string());
                there.missing.extend(place);
            }
            Err(error) => drop(there.missing.insert(error.to_string())),
        }
    }
    Ok(there)
}
