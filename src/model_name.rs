//! `--model` -> a local directory or GGUF file, the demo model, or a repository of the hub.

use std::path::{Path, PathBuf};

use crate::checkpoint::Source;
use crate::demo;
use crate::hub::{self, RepoName, Settings};

/// A name that stands for no model, or for one that is not here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a directory nor something that looks like `owner/name`.
    #[error("model `{name}` is neither a directory nor a repository id like `owner/name`")]
    NoSuchModel {
        /// The name as given.
        name: String,
    },
    /// A path to nothing.
    #[error("model `{}`: no such file or directory", path.display())]
    NoSuchPath {
        /// The path as given.
        path: PathBuf,
    },
    /// A repository that is not in the cache.
    #[error(transparent)]
    Hub(#[from] hub::Error),
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchModel { name } => Some(match hub::likely_meant(name, &[demo::NAME]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "pass a directory that holds config.json and the safetensors files, or `owner/name[@revision]`"
                    .to_owned(),
            }),
            Self::NoSuchPath { .. } => None,
            Self::Hub(error) => error.hint(),
        }
    }
}

/// What a model's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A directory that holds the checkpoint's files, or a GGUF file.
    Local(PathBuf),
    /// The checkpoint inside the program.
    Demo,
    /// A repository of the hub.
    Repo(RepoName),
}

impl ModelName {
    /// `demo` is the demo model (a directory of that name is `./demo`); a directory or file that exists is taken as it
    /// is; anything else must be what [`RepoName::parse`] reads.
    ///
    /// # Errors
    /// [`Error::NoSuchPath`] for a path to nothing, [`Error::NoSuchModel`] for what could be neither.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == demo::NAME {
            return Ok(Self::Demo);
        }
        let path = Path::new(text);
        if path.is_dir() || path.is_file() {
            return Ok(Self::Local(path.to_owned()));
        }
        match is_plainly_a_path(text) {
            true => Err(Error::NoSuchPath { path: path.to_owned() }),
            false => {
                let no_model = |_| Error::NoSuchModel { name: text.to_owned() };
                RepoName::parse(text).map(Self::Repo).map_err(no_model)
            }
        }
    }
}

/// Whether a name can only be meant as a path: no repository's looks like it.
fn is_plainly_a_path(text: &str) -> bool {
    text.starts_with(['.', '/', '~']) || text.to_ascii_lowercase().ends_with(".gguf")
}

/// Where a model named on a command line is, if it is here: [`hub::locate`] with the settings of the environment.
///
/// # Errors
/// As [`hub::locate`], and a name or a setting that cannot be used.
pub fn locate_by_name(name: &str) -> Result<Source, Error> {
    match ModelName::parse(name)? {
        ModelName::Local(path) => Ok(path.into()),
        ModelName::Demo => Ok(demo::source()),
        ModelName::Repo(repo) => Ok(hub::locate(&Settings::from_env(None)?, &repo)?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_to_nothing_is_called_one() {
        for path in ["./model", "/nowhere/model", "~/model", "missing.gguf", "models/missing.GGUF"] {
            assert!(matches!(ModelName::parse(path), Err(Error::NoSuchPath { .. })), "{path}");
        }
        for name in ["model", "a/b/c", "@"] {
            assert!(matches!(ModelName::parse(name), Err(Error::NoSuchModel { .. })), "{name}");
        }
    }
}
