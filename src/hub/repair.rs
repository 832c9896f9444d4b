//! Damaged files of the cache, replaced by what the hub has at the same commit.

use std::sync::atomic::Ordering;

use super::error::Error;
use super::events::{Event, Halt, Pulled};
use super::name::RepoName;
use super::pull::{ask_listing, begin, bring, settle};
use super::remote::RemoteFile;
use super::session::{Session, drive};
use super::settings::Settings;
use super::verify::{Verdict, Verification};
use crate::interrupt::Interrupt;

/// Fetches the damaged files of a verified commit again. Each stays as it is until its replacement is whole and its
/// checksum right; no branch or tag changes its meaning.
///
/// # Errors
/// As [`super::pull`]; [`Error::MissingFile`] for a file that the hub does not have at this commit.
///
/// # Panics
/// As [`super::pull`].
pub fn repair(
    settings: &Settings,
    repo: &RepoName,
    verification: &Verification,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Pulled, Error> {
    let is_damaged = |verdict: &Verdict| matches!(verdict, Verdict::Damaged { .. });
    let damaged = verification.files.iter().filter(|file| is_damaged(&file.verdict));
    let damaged = damaged.map(|file| file.name.clone()).collect();
    let commit = verification.commit.clone();
    drive(settings, repo, damaged, interrupt, on_event, move |session| run(session, &commit))
}

fn run(session: &Session, commit: &str) -> Result<Pulled, Halt> {
    let listing = ask_listing(session, commit, false)?;
    let find = |name: &String| {
        let missing = || Error::MissingFile { repo: format!("{}@{commit}", session.repo.id()), file: name.clone() };
        listing.files.iter().find(|file| file.name == *name).cloned().ok_or_else(missing)
    };
    let files: Vec<RemoteFile> = session.damaged.iter().map(find).collect::<Result<_, _>>()?;
    let _lock = session.share_repository()?;
    begin(session, commit, files.iter())?;
    bring(session, commit, &files)?;
    settle(session, &listing, files.iter())?;
    let received_bytes = session.received.load(Ordering::Relaxed);
    Ok(Pulled { dir: session.cache.snapshot(commit), commit: commit.to_owned(), received_bytes })
}
