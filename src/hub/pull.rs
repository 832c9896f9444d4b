//! A repository from the hub into the cache: list, check room, small files, then weights, several at once.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::client::Asked;
use super::error::Error;
use super::events::{Event, Halt, Pulled};
use super::fetch::fetch;
use super::listing::Listing;
use super::locate;
use super::name::RepoName;
use super::remote::RemoteFile;
use super::select::{Selection, is_candidate};
use super::session::{Patience, Session, drive};
use super::settings::Settings;
use crate::checkpoint;
use crate::disk;
use crate::interrupt::Interrupt;

/// Left free beside what is fetched, for folders, links and locks.
const MARGIN_BYTES: u64 = 1 << 20;

/// Brings everything that the loader needs of `repo` into the cache.
///
/// A commit that is cached whole, or any cached revision when offline, needs no network. Interrupting it leaves what
/// has arrived, and the next pull goes on from there.
///
/// # Errors
/// Any [`Error`] of this module.
///
/// # Panics
/// If one of its threads panics, with that thread's panic.
pub fn pull(
    settings: &Settings,
    repo: &RepoName,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Pulled, Error> {
    drive(settings, repo, Vec::new(), interrupt, on_event, run)
}

fn run(session: &Session) -> Result<Pulled, Halt> {
    let (settings, repo) = (&session.settings, &session.repo);
    let cached = match (locate::cached(settings, repo), settings.offline) {
        (Ok((dir, commit)), offline)
            if offline.is_some() || (repo.is_pinned() && session.cache.tells_checksums(&commit)) =>
        {
            return Ok(Pulled { dir, commit, received_bytes: 0 });
        }
        (Err(error), Some(by)) => return Err(Error::Offline { why: Box::new(error), by }.into()),
        (cached, _) => cached.ok(),
    };
    let listing = match (ask_listing(session, repo.revision(), cached.is_some()), cached) {
        (Err(Halt::Failed(error)), Some((dir, commit))) if error.is_about_connection() => {
            session.tell(Event::Fallback { reason: error.to_string(), commit: commit.clone() });
            return Ok(Pulled { dir, commit, received_bytes: 0 });
        }
        (outcome, _) => outcome?,
    };
    bring_all(session, &listing)
}

/// Fetches and links all that is missing of a commit.
pub(super) fn bring_all(session: &Session, listing: &Listing) -> Result<Pulled, Halt> {
    let (cache, repo, commit) = (&session.cache, &session.repo, listing.commit.as_str());
    let _lock = session.share_repository()?;
    let selection = select(session, listing)?;
    begin(session, commit, selection.files())?;
    let dir = cache.snapshot(commit);
    bring(session, commit, &selection.small)?;
    check_small_files(repo, &dir, &selection)?;
    bring(session, commit, &selection.weights)?;
    settle(session, listing, selection.files())?;
    if !repo.is_pinned() {
        cache.write_reference(repo.revision(), commit)?;
    }
    let received_bytes = session.received.load(Ordering::Relaxed);
    Ok(Pulled { dir, commit: commit.to_owned(), received_bytes })
}

/// What there is at a revision. With a cached copy to fall back on, one try is enough.
pub(super) fn ask_listing(session: &Session, revision: &str, has_fallback: bool) -> Result<Listing, Halt> {
    let is_wanted = |name: &str| is_candidate(name) || session.damaged.iter().any(|damaged| damaged == name);
    ask_listing_of(session, revision, has_fallback, &is_wanted)
}

/// The same for those files that `is_wanted` says.
pub(super) fn ask_listing_of(
    session: &Session,
    revision: &str,
    has_fallback: bool,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Listing, Halt> {
    let asked = Asked { repo: &session.repo, file: None };
    let mut patience = Patience::new(session, if has_fallback { 0 } else { session.settings.retries });
    loop {
        match Listing::ask(&session.client, &session.repo, revision, is_wanted) {
            Ok(listing) => return Ok(listing),
            Err(failure) => patience.after(failure, &asked)?,
        }
    }
}

/// Refuses small files that are not small, before anything is fetched.
fn check_sizes(repo: &RepoName, selection: &Selection) -> Result<(), Error> {
    let check = |file: &RemoteFile| checkpoint::check_size(Path::new(&file.name), &file.name, file.size);
    let not_loadable = |source| Error::NotLoadable { repo: repo.to_string(), source };
    selection.small.iter().try_for_each(check).map_err(not_loadable)
}

/// What the loader needs of a commit. Where weights are in shards, their index is fetched, which says in which.
pub(super) fn select(session: &Session, listing: &Listing) -> Result<Selection, Halt> {
    let (repo, commit) = (&session.repo, listing.commit.as_str());
    let mut selection = Selection::of(repo, listing)?;
    check_sizes(repo, &selection)?;
    if let Some(index) = selection.index() {
        bring(session, commit, std::slice::from_ref(index))?;
        let not_loadable = |source| Error::NotLoadable { repo: repo.to_string(), source };
        let shards = checkpoint::shard_names(&session.cache.snapshot(commit)).map_err(not_loadable)?;
        selection.keep_shards(repo, &shards)?;
    }
    Ok(selection)
}

/// Makes sure of the room for what is missing of `files`, and announces it.
pub(super) fn begin<'f>(
    session: &Session,
    commit: &str,
    files: impl Iterator<Item = &'f RemoteFile>,
) -> Result<(), Error> {
    let missing: Vec<&RemoteFile> = files.filter(|file| !session.has(commit, file)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (copied, fetched): (Vec<&RemoteFile>, Vec<_>) =
        missing.iter().copied().partition(|file| session.twin(file).is_some());
    let left = |file: &RemoteFile| file.size - session.cache.incomplete_bytes(&file.digest).min(file.size);
    let bytes = fetched.iter().fold(0u64, |sum, file| sum.saturating_add(left(file)));
    let needed = copied.iter().fold(bytes, |sum, file| sum.saturating_add(file.size));
    disk::check(&session.settings.cache_dir, needed.saturating_add(MARGIN_BYTES))?;
    session.await_files(&missing);
    if !fetched.is_empty() {
        session.tell(Event::Started { files: fetched.len(), bytes });
    }
    Ok(())
}

/// Refuses what could not be loaded, before gigabytes are fetched for it.
pub(super) fn check_small_files(repo: &RepoName, dir: &Path, selection: &Selection) -> Result<(), Error> {
    let not_loadable = |source| Error::NotLoadable { repo: repo.to_string(), source };
    let documents = checkpoint::Documents::Directory(dir.to_owned());
    let config = checkpoint::Config::read(&documents, &[]).map_err(not_loadable)?;
    let weight_bytes = selection.weights.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
    checkpoint::check_promises(dir, config, weight_bytes, selection.index().is_some()).map_err(not_loadable)
}

/// Fetches what is missing of `files`, and links each as soon as it is whole.
pub(super) fn bring(session: &Session, commit: &str, files: &[RemoteFile]) -> Result<(), Halt> {
    session.for_each(files, |file| {
        if !session.has(commit, file) {
            fetch(session, commit, file)?;
        }
        Ok(session.cache.link(commit, file)?)
    })?;
    Ok(())
}

/// A last look: all files are there, whole, under their names. Where they are no links, their checksums are kept.
///
/// # Errors
/// [`Error::Vanished`] for a file that a program without our locks removed meanwhile.
pub(super) fn settle<'f>(
    session: &Session,
    listing: &Listing,
    files: impl Iterator<Item = &'f RemoteFile>,
) -> Result<(), Error> {
    let (cache, commit) = (&session.cache, listing.commit.as_str());
    let mut has_no_links = false;
    for file in files {
        if !cache.shows(commit, file) {
            return Err(Error::Vanished { file: file.name.clone() });
        }
        has_no_links |= cache.is_no_link(commit, &file.name);
    }
    match &listing.tree {
        Some(tree) if has_no_links => cache.write_tree(commit, tree),
        _ => Ok(()),
    }
}
