//! Why outputs cannot be joined.

use std::path::PathBuf;

use crate::batch::journal;
use crate::batch::journal::shown_digests;

/// What can go wrong when outputs are joined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An output cannot be read, or the joined one not be written.
    #[error(transparent)]
    Output(#[from] journal::Error),
    /// The joined output would replace one of those that are joined.
    #[error("`{}` cannot be joined into itself", path.display())]
    Itself {
        /// The output.
        path: PathBuf,
    },
    /// There is a file where the joined output should be.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// An output is named twice.
    #[error("`{}` and `{}` are one file", first.display(), second.display())]
    Twice {
        /// One of its names.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Records of several runs, of which none is said to be meant.
    #[error("there are records of several runs: {}", shown_digests(digests))]
    SeveralRuns {
        /// Their digests, and how many records have each.
        digests: Vec<(String, usize)>,
    },
    /// No record has the digest that is meant.
    #[error("no record is of run {digest}: there are {}", shown_digests(found))]
    NoSuchRun {
        /// What was meant.
        digest: String,
        /// What is there, and how many records have each.
        found: Vec<(String, usize)>,
    },
    /// The inputs were divided in several ways, so that nobody knows whether a share is missing.
    #[error("the inputs were divided into {first} shards in `{}` and into {second} in `{}`", first_path.display(),
        second_path.display())]
    SeveralDivisions {
        /// One number of shards.
        first: usize,
        /// Where it is.
        first_path: PathBuf,
        /// The other.
        second: usize,
        /// Where it is.
        second_path: PathBuf,
    },
    /// An input has two answers.
    #[error("`{id}` has different answers in `{}` and in `{}`", first.display(), second.display())]
    Differs {
        /// The input.
        id: String,
        /// One of the outputs.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// An id was given to two inputs.
    #[error("`{id}` is one input in `{}` and another in `{}`", first.display(), second.display())]
    OtherInput {
        /// The id.
        id: String,
        /// One of the outputs.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Output(journal::Error::NotARecord { .. }) => "name outputs of `llava-video batch`",
            Self::Output(error) => return error.hint(),
            Self::Itself { .. } => "name another file",
            Self::Exists { .. } => "name another file, or replace it with `--force`",
            Self::Twice { .. } => "name it once",
            Self::SeveralRuns { .. } | Self::NoSuchRun { .. } => "name the run that is meant with `--digest`",
            Self::SeveralDivisions { .. } => "name the inputs too, so that each can be looked for",
            Self::Differs { .. } | Self::OtherInput { .. } => "leave out one of the two outputs",
        };
        Some(hint.to_owned())
    }
}
