//! A checkpoint without its weights: enough to plan a request before gigabytes are fetched for it.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::events::{Event, Halt, Pulled};
use super::fetch::fetch_head;
use super::locate;
use super::name::RepoName;
use super::pull::{ask_listing, begin, bring, bring_all, check_small_files, select};
use super::session::{Session, drive};
use super::settings::Settings;
use crate::checkpoint::{Source, WeightHead};
use crate::interrupt::Interrupt;

/// The small files of a commit in the cache, and the heads of its weight files.
#[derive(Debug, Clone)]
pub struct Outline {
    repo: RepoName,
    commit: String,
    dir: PathBuf,
    heads: Arc<[WeightHead]>,
    /// Bytes of weights still to be fetched.
    pub missing_bytes: u64,
}

/// Fetches the small files of `repo`, and of its weight files the heads, which tell each tensor's shape and dtype. The
/// next pull goes on from there.
///
/// # Errors
/// As [`super::pull`]; offline, that the repository is not cached.
///
/// # Panics
/// As [`super::pull`].
pub fn outline(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Outline, Error> {
    if let (Some(by), Err(error)) = (settings.offline, locate::cached(settings, repo)) {
        return Err(Error::Offline { why: Box::new(error), by });
    }
    drive(settings, repo, Vec::new(), interrupt, on_event, run)
}

fn run(session: &Session) -> Result<Outline, Halt> {
    let listing = ask_listing(session, session.repo.revision(), false)?;
    let commit = listing.commit.as_str();
    let _lock = session.share_repository()?;
    let selection = select(session, &listing)?;
    begin(session, commit, selection.small.iter())?;
    bring(session, commit, &selection.small)?;
    let dir = session.cache.snapshot(commit);
    check_small_files(&session.repo, &dir, &selection)?;
    let heads = session.for_each(&selection.weights, |file| {
        let bytes = fetch_head(session, commit, file)?;
        Ok(WeightHead { name: file.name.clone(), file_bytes: file.size, bytes })
    })?;
    let missing = selection.weights.iter().filter(|file| !session.has(commit, file));
    let missing_bytes =
        missing.map(|file| file.size - session.cache.incomplete_bytes(&file.digest).min(file.size)).sum();
    let (repo, commit) = (session.repo.clone(), commit.to_owned());
    Ok(Outline { repo, commit, dir, heads: heads.into(), missing_bytes })
}

impl Outline {
    /// The checkpoint, to plan with.
    pub fn source(&self) -> Source {
        Source::Heads { dir: self.dir.clone(), heads: Arc::clone(&self.heads) }
    }

    /// Fetches the rest of the same commit, whatever the revision means by now.
    ///
    /// # Errors
    /// As [`super::pull`].
    ///
    /// # Panics
    /// As [`super::pull`].
    pub fn pull(
        &self,
        settings: &Settings,
        interrupt: &Interrupt,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Pulled, Error> {
        let commit = self.commit.clone();
        let run = move |session: &Session| bring_all(session, &ask_listing(session, &commit, false)?);
        drive(settings, &self.repo, Vec::new(), interrupt, on_event, run)
    }
}
