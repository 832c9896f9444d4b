//! `model`: checkpoints fetched, listed, described, checked, quantized and removed.

mod fit;
mod info;
mod list;
mod obtain;
mod pull;
mod quantize;
mod rm;
mod verify;

use anyhow::Result;
use llava_video::Error;
use llava_video::hub::RepoName;
use llava_video::model_name::ModelName;

use super::args::ModelCommand;
use super::exit::{Exit, UsageError};
use super::output::Printer;

pub(crate) use obtain::{find, obtain, report};

pub(crate) fn run(command: &ModelCommand, printer: &mut Printer) -> Result<Exit> {
    match command {
        ModelCommand::Pull(args) => pull::run(args, printer),
        ModelCommand::List(args) => list::run(args, printer),
        ModelCommand::Info(args) => info::run(args, printer),
        ModelCommand::Quantize(args) => quantize::run(args, printer),
        ModelCommand::Verify(args) => verify::run(args, printer),
        ModelCommand::Rm(args) => rm::run(args, printer),
    }
}

/// A name that must be a repository's, since what the user has beside the cache is not the hub's business.
fn repository(name: &str) -> Result<RepoName> {
    match ModelName::parse(name).map_err(Error::from)? {
        ModelName::Repo(repo) => Ok(repo),
        ModelName::Demo => {
            Err(UsageError("the demo model is part of the program; expected a repository `owner/name`".to_owned())
                .into())
        }
        ModelName::Local(path) => {
            Err(UsageError(format!("`{}` is on this machine; expected a repository `owner/name`", path.display()))
                .into())
        }
    }
}
