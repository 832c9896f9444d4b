//! `model pull`: a checkpoint from the hub into the cache; prints the directory that holds it.

use anyhow::Result;
use llava_video::Error;
use llava_video::hub::Settings;

use super::super::args::PullArgs;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::signals;
use super::obtain;

pub(super) fn run(args: &PullArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let repo = super::repository(&args.model)?;
    let mut settings = Settings::from_env(args.offline.then_some("--offline")).map_err(Error::from)?;
    if let Some(retries) = args.retries {
        (settings.retries, settings.connect_patience) = (retries, None);
    }
    let pulled = obtain::pull(&settings, &repo, &interrupt, printer)?;
    printer.detail(&format!("{repo} is at commit {}", pulled.commit));
    printer.line(&pulled.dir.to_string_lossy())?;
    Ok(Exit::Done)
}
