//! Files of a dataset: listed with what is here of each, fetched into the cache, and let go of when they were used.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::cache::RepoCache;
use super::digest::Digest;
use super::error::Error;
use super::events::{Event, Halt};
use super::listing::{Listing, Terms};
use super::lock::{Lock, Mode};
use super::name::RepoName;
use super::pull::{ask_listing_of, begin, bring, settle};
use super::remote::RemoteFile;
use super::session::{Session, drive};
use super::settings::Settings;
use crate::interrupt::Interrupt;

/// What there is of a dataset at one commit, by its names.
#[derive(Debug, Clone)]
pub struct Dataset {
    repo: RepoName,
    /// The commit that the revision means.
    pub commit: String,
    /// What its publisher says; `None` where the hub was not asked.
    pub terms: Option<Terms>,
    /// Those of its files that were asked for, in the order of the hub.
    pub files: Vec<DatasetFile>,
    listing: Listing,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFile {
    /// Its name in the repository, with `/` between folders.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes of it that are in the cache.
    pub here_bytes: u64,
}

/// Files that are in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where each is, in the order in which they were asked for.
    pub paths: Vec<PathBuf>,
    /// Bytes that were received for them.
    pub received_bytes: u64,
}

/// Lists those files of a dataset that `is_wanted` says; nothing is fetched.
///
/// Offline, or while the hub cannot be reached, that is what an earlier fetch has left of the listing.
///
/// # Errors
/// Any [`Error`] of this module.
///
/// # Panics
/// If one of its threads panics, with that thread's panic.
pub fn list_dataset(
    settings: &Settings,
    repo: &RepoName,
    is_wanted: impl Fn(&str) -> bool + Send + 'static,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Dataset, Error> {
    drive(settings, repo, Vec::new(), interrupt, on_event, move |session| list(session, &is_wanted))
}

fn list(session: &Session, is_wanted: &dyn Fn(&str) -> bool) -> Result<Dataset, Halt> {
    let repo = &session.repo;
    let cached = cached_listing(session, is_wanted);
    let (listing, is_asked) = match (session.settings.offline, cached) {
        (Some(_), Some(cached)) => (cached, false),
        (Some(by), None) => {
            let (kind, repo, cache) = (repo.kind(), repo.to_string(), session.cache.folder.clone());
            return Err(Error::Offline { why: Box::new(Error::NotCached { kind, repo, cache }), by }.into());
        }
        (None, cached) => match (ask_listing_of(session, repo.revision(), cached.is_some(), is_wanted), cached) {
            (Err(Halt::Failed(error)), Some(cached)) if error.is_about_connection() => {
                session.tell(Event::Fallback { reason: error.to_string(), commit: cached.commit.clone() });
                (cached, false)
            }
            (outcome, _) => (outcome?, true),
        },
    };
    if let Some(file) = listing.files.iter().find(|file| !is_safe(&file.name)) {
        let (what, host) = (format!("the list of files of `{repo}`"), session.client.host().to_owned());
        return Err(Error::BadAnswer { what, host, message: format!("it names a file `{}`", file.name) }.into());
    }
    let here = |file: &RemoteFile| match session.cache.holds(&listing.commit, file) {
        true => file.size,
        false => session.cache.incomplete_bytes(&file.digest).min(file.size),
    };
    let listed = |file: &RemoteFile| DatasetFile {
        name: file.name.clone(),
        size: file.size,
        digest: file.digest.clone(),
        here_bytes: here(file),
    };
    Ok(Dataset {
        repo: repo.clone(),
        commit: listing.commit.clone(),
        terms: is_asked.then(|| listing.terms.clone()),
        files: listing.files.iter().map(listed).collect(),
        listing,
    })
}

/// What an earlier fetch has left of the listing.
fn cached_listing(session: &Session, is_wanted: &dyn Fn(&str) -> bool) -> Option<Listing> {
    let commit = session.cache.commit(&session.repo)?;
    let tree = session.cache.tree(&commit)?;
    let file = |(name, size, digest): (&str, u64, Digest)| RemoteFile { name: name.to_owned(), size, digest };
    let files = tree.files().filter(|(name, ..)| is_wanted(name)).map(file).collect();
    Some(Listing { commit, files, others: Vec::new(), tree: Some(tree), terms: Terms::default() })
}

/// Whether a name stays in the folder of its snapshot. Other than models, datasets have names with spaces and accents.
fn is_safe(name: &str) -> bool {
    let is_safe_part = |part: &str| !matches!(part, "" | "." | "..");
    !name.contains(|c: char| c == '\\' || c.is_control()) && name.split('/').all(is_safe_part)
}

impl Dataset {
    /// Brings files into the cache. Interrupting it leaves what has arrived, and the next fetch goes on from there.
    ///
    /// # Errors
    /// Any [`Error`] of this module.
    ///
    /// # Panics
    /// If one of its threads panics, with that thread's panic.
    pub fn fetch(
        &self,
        settings: &Settings,
        names: &[&str],
        interrupt: &Interrupt,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Fetched, Error> {
        let find = |name: &&str| {
            let missing = || Error::NotFound {
                what: format!("`{name}` of `{}`", self.repo),
                message: "it is not in its list of files".to_owned(),
            };
            self.listing.files.iter().find(|file| file.name == *name).cloned().ok_or_else(missing)
        };
        let files: Vec<RemoteFile> = names.iter().map(find).collect::<Result<_, _>>()?;
        let is_here = |file: &RemoteFile| RepoCache::new(&settings.cache_dir, &self.repo).holds(&self.commit, file);
        if let (Some(by), Some(file)) = (settings.offline, files.iter().find(|file| !is_here(file))) {
            let why = Error::PartlyCached {
                kind: self.repo.kind(),
                repo: self.repo.to_string(),
                missing: format!("`{}` is missing", file.name),
            };
            return Err(Error::Offline { why: Box::new(why), by });
        }
        let listing = self.listing.clone();
        drive(settings, &self.repo, Vec::new(), interrupt, on_event, move |session| {
            bring_files(session, &listing, &files)
        })
    }

    /// Takes files out of the cache, so that their room is free: those that were unpacked elsewhere.
    ///
    /// # Errors
    /// A file that cannot be removed; [`Error::Busy`] while another process downloads one.
    pub fn let_go(&self, settings: &Settings, names: &[&str]) -> Result<(), Error> {
        let cache = RepoCache::new(&settings.cache_dir, &self.repo);
        for file in self.listing.files.iter().filter(|file| names.contains(&file.name.as_str())) {
            let busy = || Error::Busy { repo: self.repo.id().to_owned() };
            let _lock = Lock::take(&cache.lock(&file.digest), Mode::Exclusive)?.ok_or_else(busy)?;
            for path in [cache.snapshot(&self.commit).join(&file.name), cache.blob(&file.digest)] {
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::Write { path, source });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn bring_files(session: &Session, listing: &Listing, files: &[RemoteFile]) -> Result<Fetched, Halt> {
    let (cache, repo, commit) = (&session.cache, &session.repo, listing.commit.as_str());
    let _lock = session.share_repository()?;
    begin(session, commit, files.iter())?;
    bring(session, commit, files)?;
    settle(session, listing, files.iter())?;
    // Without a network, the next fetch goes by them.
    if let Some(tree) = &listing.tree {
        cache.write_tree(commit, tree)?;
    }
    if !repo.is_pinned() {
        cache.write_reference(repo.revision(), commit)?;
    }
    let paths = files.iter().map(|file| cache.snapshot(commit).join(&file.name)).collect();
    Ok(Fetched { paths, received_bytes: session.received.load(Ordering::Relaxed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_snapshot() {
        for name in ["README.md", "json/a b.json", "video/star/é #1.mp4", "..a"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\..\\b", "a\nb", "./a"] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
