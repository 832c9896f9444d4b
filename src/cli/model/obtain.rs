//! A model by name, fetched on first use.

use std::time::Instant;

use anyhow::Result;
use indicatif::HumanDuration;
use llava_video::Error;
use llava_video::checkpoint::Source;
use llava_video::demo;
use llava_video::hub::{self, Event, ModelName, Pulled, RepoName, Settings};
use llava_video::interrupt::Interrupt;
use llava_video::size::shown;

use super::super::output::Printer;

/// The shortest pause between tries that is worth telling about.
const TOLD_PAUSE_SECS: u64 = 5;

/// Where a model is. What is cached as a whole is taken as it is, without any network, so that answers do not
/// change by themselves; anything else is fetched, unless a flag says `offline`.
pub(crate) fn obtain(
    name: &str,
    offline: Option<&'static str>,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Source> {
    let repo = match ModelName::parse(name).map_err(Error::from)? {
        ModelName::Local(path) => return Ok(path.into()),
        ModelName::Demo => {
            printer.note(demo::KNOWS);
            return Ok(demo::source());
        }
        ModelName::Repo(repo) => repo,
    };
    let settings = Settings::from_env(offline).map_err(Error::from)?;
    match hub::locate(&settings, &repo) {
        Ok(dir) => Ok(dir.into()),
        Err(_) => Ok(pull(&settings, &repo, interrupt, printer)?.dir.into()),
    }
}

/// Fetches a repository and tells how it goes.
pub(super) fn pull(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Pulled> {
    let started = Instant::now();
    let mut on_event = |event| match event {
        Event::Started { files, bytes } => {
            let (size, dir) = (shown(bytes), settings.cache_dir.display());
            printer.note(&format!("downloading {repo}, {size} in {files} files, to `{dir}`"));
        }
        Event::Progress { done, total } => printer.bytes_progress("download", done, total),
        Event::Waiting { what } => printer.note(&format!("waiting for another process that downloads {what}")),
        Event::Retrying { what, reason, pause } => {
            let message = format!("{what}: {reason}; trying again in {:.1} s", pause.as_secs_f64());
            match pause.as_secs() >= TOLD_PAUSE_SECS {
                true => printer.note(&message),
                false => printer.detail(&message),
            }
        }
        Event::Fallback { reason, commit } => {
            printer.warning(&format!("{reason}; using commit {commit} of {repo} from the cache"));
        }
    };
    let pulled = hub::pull(settings, repo, interrupt, &mut on_event).map_err(Error::from)?;
    if pulled.received_bytes > 0 {
        let (size, elapsed) = (shown(pulled.received_bytes), started.elapsed());
        let rate = shown((pulled.received_bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64);
        let took = match elapsed.as_secs() {
            0..60 => format!("{:.1} s", elapsed.as_secs_f64()),
            _ => HumanDuration(elapsed).to_string(),
        };
        printer.note(&format!("downloaded {size} in {took} ({rate}/s); all checksums are right"));
    }
    Ok(pulled)
}
