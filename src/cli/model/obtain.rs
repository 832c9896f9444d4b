//! A model by name: found in the cache, planned with while it is elsewhere, fetched on first use.

use std::fmt::Display;
use std::time::Instant;

use anyhow::Result;
use indicatif::HumanDuration;
use llava_video::Error;
use llava_video::checkpoint::Source;
use llava_video::demo;
use llava_video::hub::{self, Event, Outline, Pulled, RepoName, Settings};
use llava_video::interrupt::Interrupt;
use llava_video::model_name::ModelName;
use llava_video::size::{counted, shown};

use super::super::output::Printer;

/// The shortest pause between tries that is worth telling about.
const TOLD_PAUSE_SECS: u64 = 5;

/// A model that can be planned with.
pub(crate) struct Found {
    /// Where it is; without its weights as long as these are not fetched.
    pub(crate) source: Source,
    /// What is still to be fetched, and from where.
    absent: Option<(Settings, RepoName, Outline)>,
}

impl Found {
    fn here(source: Source) -> Self {
        Self { source, absent: None }
    }

    /// Bytes of weights that are not here.
    pub(crate) fn missing_bytes(&self) -> Option<u64> {
        self.absent.as_ref().map(|(_, _, outline)| outline.missing_bytes)
    }

    /// Fetches the weights, unless they are here: then `None`.
    pub(crate) fn fetch(&self, interrupt: &Interrupt, printer: &mut Printer) -> Result<Option<Source>> {
        let Some((settings, repo, outline)) = &self.absent else { return Ok(None) };
        let pull = |on_event: &mut dyn FnMut(Event)| outline.pull(settings, interrupt, on_event);
        Ok(Some(download(settings, repo, printer, pull)?.dir.into()))
    }
}

/// Where a model is, or what it will be. What is cached as a whole is taken as it is, without any network, so that
/// answers do not change by themselves; of anything else the small files are fetched, unless a flag says `offline`.
pub(crate) fn find(
    name: &str,
    offline: Option<&'static str>,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Found> {
    let repo = match ModelName::parse(name).map_err(Error::from)? {
        ModelName::Local(path) => return Ok(Found::here(path.into())),
        ModelName::Demo => {
            printer.note(demo::KNOWS);
            return Ok(Found::here(demo::source()));
        }
        ModelName::Repo(repo) => repo,
    };
    let settings = Settings::from_env(offline).map_err(Error::from)?;
    if let Ok(dir) = hub::locate(&settings, &repo) {
        return Ok(Found::here(dir.into()));
    }
    let mut on_event = |event| match event {
        Event::Started { files, bytes } => {
            printer.detail(&format!(
                "fetching {} of {repo} that plan the rest, {}",
                counted(files, "small file"),
                shown(bytes)
            ));
        }
        other => report(other, &settings, &repo, printer),
    };
    let outline = hub::outline(&settings, &repo, interrupt, &mut on_event).map_err(Error::from)?;
    Ok(Found { source: outline.source(), absent: Some((settings, repo, outline)) })
}

/// A whole model, fetched if it is not here.
pub(crate) fn obtain(
    name: &str,
    offline: Option<&'static str>,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Source> {
    let found = find(name, offline, interrupt, printer)?;
    Ok(found.fetch(interrupt, printer)?.unwrap_or(found.source))
}

/// Fetches a repository and tells how it goes.
pub(super) fn pull(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Pulled> {
    download(settings, repo, printer, |on_event| hub::pull(settings, repo, interrupt, on_event))
}

/// Tells how a download goes.
pub(super) fn download(
    settings: &Settings,
    repo: &RepoName,
    printer: &mut Printer,
    pull: impl FnOnce(&mut dyn FnMut(Event)) -> Result<Pulled, hub::Error>,
) -> Result<Pulled> {
    let started = Instant::now();
    let pulled = pull(&mut |event| report(event, settings, repo, printer)).map_err(Error::from)?;
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

/// Tells what happens while something is fetched.
pub(crate) fn report(event: Event, settings: &Settings, repo: &dyn Display, printer: &mut Printer) {
    match event {
        Event::Started { files, bytes } => {
            let (size, dir) = (shown(bytes), settings.cache_dir.display());
            let files = counted(files, "file");
            printer.note(&format!("downloading {repo}, {size} in {files}, to `{dir}`"));
        }
        Event::Progress { done, total } => printer.bytes_progress("download", done, total),
        Event::Waiting { reason } => printer.note(&format!("waiting: {reason}")),
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
    }
}
