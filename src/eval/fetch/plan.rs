//! What is to be done for a benchmark: which files, from where, how large, what of them is there, under which terms.

use std::path::{Path, PathBuf};

use super::by_hand::by_hand;
use super::choose::{Chosen, choose};
use super::error::FetchError;
use super::marker::Marker;
use super::request::{Request, What};
use crate::disk::{self, NoSpace};
use crate::eval::data::{DataError, part_called};
use crate::eval::list::{Repository, repository};
use crate::eval::{Benchmark, Harness};
use crate::hub::{self, Dataset, DatasetFile, RepoName, Settings, Terms};
use crate::interrupt::Interrupt;

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is where it belongs, unpacked.
    InPlace,
    /// It has been downloaded.
    Cached,
    /// Something of it is still to be downloaded.
    Missing,
    /// Another file has its place.
    InTheWay,
}

/// Files that are put in place together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What they are.
    pub what: What,
    /// One, or the pieces of an archive in order.
    pub files: Vec<DatasetFile>,
    /// How far they are.
    pub state: State,
    /// The file, or the folder to unpack in.
    pub to: PathBuf,
}

impl Item {
    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Bytes that are still to be downloaded.
    pub fn missing_bytes(&self) -> u64 {
        match self.state {
            State::InPlace => 0,
            _ => self.files.iter().map(|file| file.size - file.here_bytes).sum(),
        }
    }

    /// Its name, or that of its first piece.
    pub fn name(&self) -> &str {
        self.files.first().map_or("", |file| &file.name)
    }
}

/// What is to be done; nothing has been downloaded or written for it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// Where the files are.
    pub repository: RepoName,
    /// What is known of that, as it is today.
    pub dataset: Dataset,
    /// Files, the tables first.
    pub items: Vec<Item>,
    /// What is left to the user.
    pub by_hand: Vec<String>,
    /// The folder to put it in.
    pub data: PathBuf,
    /// The folder to unpack in, below it.
    folder: &'static str,
}

/// Asks the hub what there is, and looks what of it is here.
///
/// # Errors
/// Any [`FetchError`].
pub fn plan(
    request: &Request,
    settings: &Settings,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(hub::Event),
) -> Result<Plan, FetchError> {
    let known = repository(request.benchmark, request.harness, request.split)
        .ok_or(DataError::NoSplit { benchmark: request.benchmark })?;
    let part = request.part.map(|name| part_called(request.benchmark, name)).transpose()?;
    let (name, dataset) = listed(request, &known, settings, interrupt, on_event)?;
    let names: Vec<&str> = dataset.files.iter().map(|file| file.name.as_str()).collect();
    let item = |Chosen { what, files }: Chosen| {
        let files = files.into_iter().map(|file| dataset.files[file].clone()).collect();
        item(request, &known, &name, what, files)
    };
    let items = choose(request, &known, name.id(), &names)?.into_iter().map(item).collect();
    Ok(Plan {
        benchmark: request.benchmark,
        items,
        by_hand: by_hand(request.benchmark, request.harness, request.split, part),
        data: request.data.to_owned(),
        folder: known.folder,
        repository: name,
        dataset,
    })
}

/// The first of the benchmark's repositories that the hub has. Its owner has been renamed since 2024, which the hub
/// follows for a while; MLVU's tables of 2024 are a repository of their own, which goes first for the trees of 2024.
fn listed(
    request: &Request,
    known: &Repository,
    settings: &Settings,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(hub::Event),
) -> Result<(RepoName, Dataset), FetchError> {
    let mut names = Vec::new();
    match request.repository {
        Some(name) => names.push(name.clone()),
        None => {
            let mut ids: Vec<&str> = std::iter::once(known.id).chain(known.id_in_2024).collect();
            match (request.benchmark, request.harness) {
                (Benchmark::Mlvu, Harness::Head) => ids.truncate(1),
                (Benchmark::Mlvu, _) => ids = vec![known.id_in_2024.unwrap_or(known.id)],
                _ => {}
            }
            for id in ids {
                names.push(RepoName::dataset(id, known.revision)?);
            }
        }
    }
    let mut first_error = None;
    for name in names {
        match hub::list_dataset(settings, &name, |_| true, interrupt, on_event) {
            Ok(dataset) => return Ok((name, dataset)),
            Err(error @ (hub::Error::NotFound { .. } | hub::Error::Refused { .. } | hub::Error::Offline { .. })) => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(first_error.map_or_else(
        || FetchError::NoFile { repository: known.id.to_owned(), expected: "files".to_owned() },
        FetchError::from,
    ))
}

fn item(request: &Request, known: &Repository, name: &RepoName, what: What, files: Vec<DatasetFile>) -> Item {
    let folder = request.data.join(known.folder);
    let first = files.first().map_or("", |file| file.name.as_str());
    let to = match what {
        What::Table => request.data.join(first),
        What::Video => folder.join(first),
        What::Archive(_) => folder,
    };
    let there = match what {
        What::Archive(_) => marker(name, known.folder, &files).holds(request.data).then_some(State::InPlace),
        What::Table | What::Video => single(&to, &files, what),
    };
    let is_cached = files.iter().all(|file| file.here_bytes == file.size);
    let state = there.unwrap_or(if is_cached { State::Cached } else { State::Missing });
    Item { what, files, state, to }
}

/// A table is small enough to be compared with its checksum; a video has been put there whole.
fn single(to: &Path, files: &[DatasetFile], what: What) -> Option<State> {
    to.symlink_metadata().ok()?;
    let file = files.first()?;
    let has_size = to.metadata().is_ok_and(|there| there.is_file() && there.len() == file.size);
    let is_right = has_size && (what == What::Video || file.digest.is_of(to).unwrap_or(false));
    Some(if is_right { State::InPlace } else { State::InTheWay })
}

/// The record that there would be of an archive unpacked.
pub(super) fn marker(name: &RepoName, folder: &str, files: &[DatasetFile]) -> Marker {
    let piece = |file: &DatasetFile| (file.name.clone(), file.digest.as_str().to_owned());
    Marker { repository: name.to_string(), pieces: files.iter().map(piece).collect(), folder: folder.to_owned() }
}

impl Plan {
    /// What the publisher says; `None` where the hub was not asked.
    pub fn terms(&self) -> Option<&Terms> {
        self.dataset.terms.as_ref()
    }

    /// Bytes that are still to be downloaded.
    pub fn missing_bytes(&self) -> u64 {
        self.items.iter().map(Item::missing_bytes).sum()
    }

    /// Bytes of the archives that are still to be unpacked. Videos do not shrink, so that these are about as many
    /// unpacked.
    pub fn unpack_bytes(&self) -> u64 {
        let left =
            self.items.iter().filter(|item| matches!(item.what, What::Archive(_)) && item.state != State::InPlace);
        left.map(Item::bytes).sum()
    }

    /// The folder to unpack in.
    pub fn videos(&self) -> PathBuf {
        self.data.join(self.folder)
    }

    pub(super) fn marker(&self, item: &Item) -> Marker {
        marker(&self.repository, self.folder, &item.files)
    }

    /// Refuses what has no room, as far as that can be told now.
    ///
    /// # Errors
    /// [`NoSpace`].
    pub fn check_room(&self, settings: &Settings, discards: bool) -> Result<(), NoSpace> {
        let (download, unpacked) = (self.missing_bytes(), self.unpack_bytes());
        // What an interrupted run has unpacked is there already.
        let unpacked = unpacked.saturating_sub(disk::bytes_below(&self.videos()));
        let largest = self.items.iter().map(Item::missing_bytes).max().unwrap_or(0);
        let download = if discards { largest } else { download };
        let needed = match disk::is_same(&settings.cache_dir, &self.data) {
            true => download.saturating_add(unpacked),
            false => unpacked,
        };
        disk::check(&self.data, needed)
    }
}
