//! The lines of a file of predictions: each a row's number, what a model said of it, and the part where there are
//! several.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::eval::Benchmark;
use crate::eval::data::{self, DataError};
use crate::size::counted;

/// What a model said of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// The line, counted from 1.
    pub line: usize,
    /// The part, where the benchmark has several.
    pub part: Option<&'static str>,
    /// The row's place within its part, counted from 0 in the order of the file.
    pub row: usize,
    /// What was said.
    pub output: String,
}

/// The predictions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predictions {
    /// The file.
    pub path: PathBuf,
    /// Those that are meant.
    pub all: Vec<Prediction>,
    /// How many are of other parts than the one that was asked for.
    pub of_other_parts: usize,
}

/// What is wrong with predictions.
#[derive(Debug, thiserror::Error)]
pub enum PredictionError {
    /// A line that is no prediction.
    #[error("`{}`, line {line}, is no prediction: {why}", path.display())]
    NotAPrediction {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A part that there is not.
    #[error("`{}`, line {line}", path.display())]
    NoPart {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parts that there are.
        source: Box<DataError>,
    },
    /// A benchmark of several parts, and a line that names none.
    #[error("`{}`, line {line}: no `part`, and {benchmark} has several", path.display())]
    PartMissing {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The benchmark.
        benchmark: Benchmark,
    },
    /// A row that there is not.
    #[error("`{}`, line {line}: there is no row {row}{}: the data has {}", path.display(), of(*part),
        counted(*rows, "row"))]
    NoRow {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The row.
        row: usize,
        /// Its part.
        part: Option<&'static str>,
        /// How many the data has.
        rows: usize,
    },
    /// A row that two lines are about.
    #[error("`{}`, line {line}: row {row}{} has a prediction already", path.display(), of(*part))]
    Twice {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The row.
        row: usize,
        /// Its part.
        part: Option<&'static str>,
    },
}

impl PredictionError {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAPrediction { .. } => Some("a line is an object such as {\"row\": 0, \"output\": \"A\"}"),
            Self::PartMissing { .. } => Some(
                "name it in the line, as in {\"row\": 0, \"part\": \"NAME\", \"output\": \"A\"}, or use `--part NAME`",
            ),
            Self::NoPart { .. } | Self::NoRow { .. } | Self::Twice { .. } => None,
        }
    }
}

fn of(part: Option<&str>) -> String {
    part.map_or_else(String::new, |part| format!(" of {part}"))
}

/// A line; other keys may stand beside these.
#[derive(Deserialize)]
struct Line {
    row: usize,
    output: String,
    #[serde(default)]
    part: Option<String>,
}

/// Reads the predictions in `bytes`, which are those of `path`; with `only`, those of that part, whose lines need not
/// name it. Empty lines are passed over.
///
/// # Errors
/// A line that is no prediction, or is about a part that there is not, or about a row that has one already.
pub fn read(
    bytes: &[u8],
    path: &Path,
    benchmark: Benchmark,
    only: Option<&'static str>,
) -> Result<Predictions, PredictionError> {
    let has_parts = !data::parts(benchmark).is_empty();
    let mut predictions = Predictions { path: path.to_owned(), all: Vec::new(), of_other_parts: 0 };
    let mut seen = HashSet::new();
    for (index, bytes) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let (path, line) = (|| path.to_owned(), index + 1);
        let read: Line = serde_json::from_slice(bytes).map_err(|error| PredictionError::NotAPrediction {
            path: path(),
            line,
            why: why(&error),
        })?;
        let part = match read.part.as_deref() {
            Some(name) => Some(data::part_called(benchmark, name).map_err(|source| PredictionError::NoPart {
                path: path(),
                line,
                source: Box::new(source),
            })?),
            None if has_parts && only.is_none() => {
                return Err(PredictionError::PartMissing { path: path(), line, benchmark });
            }
            None => only,
        };
        if only.is_some() && part != only {
            predictions.of_other_parts += 1;
            continue;
        }
        if !seen.insert((part, read.row)) {
            return Err(PredictionError::Twice { path: path(), line, row: read.row, part });
        }
        predictions.all.push(Prediction { line, part, row: read.row, output: read.output });
    }
    Ok(predictions)
}

/// Without the place within the line, which is the only one.
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(why, _)| why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_nextqa(text: &str) -> Result<Predictions, PredictionError> {
        read(text.as_bytes(), Path::new("p"), Benchmark::NextQa, None)
    }

    #[test]
    fn lines_are_rows_with_outputs() {
        let text =
            "{\"row\": 1, \"output\": \" A\\n\", \"more\": 1}\r\n\n{\"output\": \"\", \"row\": 0, \"part\": null}";
        let found = of_nextqa(text).unwrap();
        let all: Vec<_> = found.all.iter().map(|one| (one.line, one.row, one.output.as_str())).collect();
        assert_eq!(all, [(1, 1, " A\n"), (3, 0, "")]);
    }

    #[test]
    fn other_lines_are_refused_by_their_number() {
        for (text, expected) in [
            ("{\"row\": 0}", "`p`, line 1, is no prediction: missing field `output`"),
            ("\n[1]x", "`p`, line 2, is no prediction: "),
            ("{\"row\": -1, \"output\": \"A\"}", "`p`, line 1, is no prediction: invalid value: integer `-1`"),
            ("{\"row\": 0, \"output\": null}", "`p`, line 1, is no prediction: invalid type: null"),
            ("{\"row\": 0, \"output\": \"A\", \"part\": \"x\"}", "`p`, line 1"),
            (
                "{\"row\": 0, \"output\": \"A\"}\n{\"row\": 0, \"output\": \"A\"}",
                "`p`, line 2: row 0 has a prediction already",
            ),
        ] {
            let error = of_nextqa(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn parts_go_by_any_of_their_names() {
        let of = |text: &str, only| read(text.as_bytes(), Path::new("p"), Benchmark::VideoChatGpt, only);
        let text = "{\"row\": 0, \"output\": \"A\", \"part\": \"videochatgpt_gen\"}\n\
                    {\"row\": 0, \"output\": \"A\", \"part\": \"temporal\"}";
        let parts: Vec<_> = of(text, None).unwrap().all.iter().map(|one| one.part).collect();
        assert_eq!(parts, [Some("Generic"), Some("Temporal")]);
        let found = of(text, Some("Temporal")).unwrap();
        assert_eq!((found.all.len(), found.of_other_parts), (1, 1));
        let bare = "{\"row\": 0, \"output\": \"A\"}";
        assert_eq!(of(bare, Some("Temporal")).unwrap().all[0].part, Some("Temporal"));
        let error = of(bare, None).unwrap_err();
        assert_eq!(error.to_string(), "`p`, line 1: no `part`, and videochatgpt has several");
        assert!(error.hint().unwrap().contains("--part"));
    }
}
