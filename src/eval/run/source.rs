//! Where the rows of a run come from, and what is particular to it: a benchmark, or people's own questions.

use std::path::Path;

use crate::eval::parse::Draw;
use crate::eval::results::row_id;
use crate::eval::score::{Group, Scored, groups, score_row_of, video};
use crate::eval::videos::{AtMissing, Missing, Video, VideoError, locate};
use crate::eval::{BadColumn, Benchmark, Harness, Row, Split, context, data, own, parse, protocol};

/// So many tokens are enough for a letter, and these for an open answer.
const OWN_TOKENS: (usize, usize) = (16, 1024);

/// Where the rows of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A benchmark, as a tree of the harness has it.
    Benchmark {
        /// Which.
        benchmark: Benchmark,
        /// The tree.
        harness: Harness,
        /// Which of its rows.
        split: Split,
    },
    /// A file of people's own questions.
    Own,
}

/// Rows that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Of a benchmark.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// Of people's own questions.
    #[error(transparent)]
    Own(#[from] own::OwnError),
}

impl Source {
    /// Names a row among those of a run.
    pub fn id(self, row: &Row) -> String {
        match self {
            Self::Benchmark { benchmark, .. } => row_id(benchmark, row.part.as_deref(), row.row),
            Self::Own => format!("{}/{}", self.name(), row.row),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Benchmark { benchmark, .. } => benchmark.name(),
            Self::Own => "own",
        }
    }

    /// The benchmark, if it is one.
    pub fn benchmark(self) -> Option<Benchmark> {
        match self {
            Self::Benchmark { benchmark, .. } => Some(benchmark),
            Self::Own => None,
        }
    }

    /// The tree of the harness.
    pub fn harness(self) -> Option<Harness> {
        match self {
            Self::Benchmark { harness, .. } => Some(harness),
            Self::Own => None,
        }
    }

    /// Which rows are meant.
    pub fn split(self) -> Split {
        match self {
            Self::Benchmark { split, .. } => split,
            Self::Own => Split::Card,
        }
    }

    /// Reads the rows.
    ///
    /// # Errors
    /// No file, or one that is not as it should be.
    pub fn read(self, from: &Path, part: Option<&str>) -> Result<data::Data, SourceError> {
        match self {
            Self::Benchmark { benchmark, split, .. } => Ok(data::read(from, benchmark, split, part)?),
            Self::Own => Ok(data::Data { rows: own::read(from)?, missing_parts: Vec::new() }),
        }
    }

    /// What is put to the model, byte for byte.
    ///
    /// # Errors
    /// A column is not as it should be.
    pub fn context(self, row: &Row) -> Result<String, BadColumn> {
        match self {
            Self::Benchmark { benchmark, harness, .. } => context::context(benchmark, harness, row),
            Self::Own => own::context(row),
        }
    }

    /// How many options a row has; `None` of an open question.
    ///
    /// # Errors
    /// A column is not as it should be.
    pub fn options(self, row: &Row) -> Result<Option<usize>, BadColumn> {
        let Self::Benchmark { benchmark, .. } = self else {
            return Ok(own::options(row)?.map(|options| options.len()));
        };
        Ok(Some(match benchmark {
            Benchmark::ActivityNetQa | Benchmark::VideoChatGpt | Benchmark::VideoDc => return Ok(None),
            Benchmark::EgoSchema | Benchmark::EgoSchemaSubset | Benchmark::NextQa => 5,
            Benchmark::Mlvu | Benchmark::MvBench => row.texts("candidates")?.len(),
            Benchmark::PerceptionTest | Benchmark::VideoMme => row.texts("options")?.len(),
            Benchmark::LongVideoBench => parse::longvideobench_options(row)?,
        }))
    }

    /// The most tokens of an answer.
    pub fn max_new_tokens(self, has_options: bool) -> usize {
        match self {
            Self::Benchmark { benchmark, harness, .. } => protocol::generation(benchmark, harness).max_new_tokens,
            Self::Own if has_options => OWN_TOKENS.0,
            Self::Own => OWN_TOKENS.1,
        }
    }

    /// Looks for a row's video.
    ///
    /// # Errors
    /// The row does not say which it is.
    pub fn locate(self, videos: &Path, row: &Row) -> Result<Video, VideoError> {
        match self {
            Self::Benchmark { benchmark, harness, split } => locate(videos, benchmark, harness, split, row),
            Self::Own => {
                let path = videos.join(row.text("video")?);
                Ok(match path.exists() {
                    true => Video::Clip(path),
                    false => Video::Missing(Missing { tried: vec![path], harness: AtMissing::Exits }),
                })
            }
        }
    }

    /// The name of a row's video.
    ///
    /// # Errors
    /// The row does not say which it is.
    pub fn video(self, row: &Row) -> Result<String, BadColumn> {
        match self {
            Self::Benchmark { benchmark, .. } => video(benchmark, row),
            Self::Own => row.text("video").map(str::to_owned),
        }
    }

    /// The categories of a row.
    pub fn groups(self, row: &Row) -> Vec<Group> {
        match self {
            Self::Benchmark { benchmark, .. } => groups(benchmark, row),
            Self::Own => own::groups(row),
        }
    }

    /// From and to which second a row is about its video. No tree of the harness cuts clips.
    ///
    /// # Errors
    /// What stands there is no time.
    pub fn span(self, row: &Row) -> Result<(Option<f64>, Option<f64>), BadColumn> {
        match self {
            Self::Benchmark { .. } => Ok((None, None)),
            Self::Own => Ok((own::moment(row, "start")?, own::moment(row, "end")?)),
        }
    }

    /// Parses and scores an output.
    ///
    /// # Errors
    /// A column is not as it should be.
    pub fn score(self, row: &Row, output: &str, draw: Draw) -> Result<Scored, BadColumn> {
        match self {
            Self::Benchmark { benchmark, harness, split } => {
                score_row_of(split, benchmark, harness, row, output, Some(draw))
            }
            Self::Own => own::score(row, output),
        }
    }
}
