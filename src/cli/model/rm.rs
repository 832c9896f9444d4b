//! `model rm`: a checkpoint out of the cache, after a question.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result, bail};
use llava_video::Error;
use llava_video::hub::{self, Removal, Settings};
use llava_video::size::shown;

use super::super::args::RmArgs;
use super::super::exit::{Exit, UsageError};
use super::super::output::Printer;

pub(super) fn run(args: &RmArgs, printer: &mut Printer) -> Result<Exit> {
    let repo = super::repository(&args.model)?;
    let settings = Settings::from_env(None).map_err(Error::from)?;
    let what = match repo.has_revision() {
        true => format!("{}@{}", repo.id(), repo.revision()),
        false => repo.id().to_owned(),
    };
    let removal = match Removal::plan(&settings, &repo) {
        // Nobody who removes a model wants to be told how to get it.
        Err(hub::Error::NotCached { .. }) => {
            bail!("model `{what}` is not in the hub cache; `llava-video model list` shows what is")
        }
        planned => planned.map_err(Error::from)?,
    };
    let size = shown(removal.bytes);
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(UsageError(format!("removing {what} ({size}) without a terminal needs `--yes`")).into());
        }
        printer.question(&format!("remove {what} ({size}) from `{}`? [y/N] ", settings.cache_dir.display()));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("nothing was removed");
        }
    }
    let freed = shown(removal.carry_out().map_err(Error::from)?);
    printer.note(&format!("removed {what}, {freed}"));
    Ok(Exit::Done)
}
