//! A plan, carried out: downloaded, put in place, unpacked, and recorded.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::FetchError;
use super::marker::FOLDER;
use super::place;
use super::plan::{Item, Plan, State};
use super::request::What;
use super::unpack::{self, Archive, Unpacked};
use crate::file_lock::{Mode, Taken, try_lock};
use crate::hub::{self, Settings};
use crate::interrupt::Interrupt;

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something about the download.
    Download(hub::Event),
    /// An archive is being unpacked.
    Unpacking {
        /// Its bytes that have been gone through.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// An archive has been unpacked whole.
    Unpacked {
        /// Its name.
        archive: String,
        /// Files that came out of it.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Bytes received.
    pub received_bytes: u64,
    /// Archives unpacked.
    pub archives: usize,
    /// Files that came out of them.
    pub unpacked_files: usize,
}

/// Downloads what is missing, puts tables and videos in place, and unpacks the archives.
///
/// With `discards`, each archive is taken out of the hub's cache as soon as it is unpacked, and the next is downloaded
/// only then. Interrupting it at any moment leaves nothing half, and the next run goes on from there.
///
/// # Errors
/// Any [`FetchError`].
pub fn carry_out(
    plan: &Plan,
    settings: &Settings,
    discards: bool,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Event),
) -> Result<Done, FetchError> {
    if let Some(item) = plan.items.iter().find(|item| item.state == State::InTheWay) {
        let repository = plan.repository.to_string();
        return Err(FetchError::Differs { path: item.to.clone(), repository });
    }
    plan.check_room(settings, discards)?;
    let _lock = lock(&plan.data)?;
    let left = plan.items.iter().filter(|item| item.state != State::InPlace);
    let (archives, single): (Vec<&Item>, Vec<&Item>) = left.partition(|item| matches!(item.what, What::Archive(_)));
    let mut run = Run { plan, settings, interrupt, on_event, done: Done::default() };
    run.put(&single)?;
    if !discards {
        run.download(&archives)?;
    }
    for item in archives {
        run.unpack(item)?;
        if discards {
            plan.dataset.let_go(settings, &names(&[item]))?;
        }
    }
    Ok(run.done)
}

struct Run<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    interrupt: &'a Interrupt,
    on_event: &'a mut dyn FnMut(Event),
    done: Done,
}

impl Run<'_> {
    /// Brings files into the cache, and says where each is.
    fn download(&mut self, items: &[&Item]) -> Result<Vec<PathBuf>, FetchError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut on_event = |event| (self.on_event)(Event::Download(event));
        let fetched = self.plan.dataset.fetch(self.settings, &names(items), self.interrupt, &mut on_event)?;
        self.done.received_bytes += fetched.received_bytes;
        Ok(fetched.paths)
    }

    /// Tables, and videos that are not packed.
    fn put(&mut self, items: &[&Item]) -> Result<(), FetchError> {
        let repository = self.plan.repository.to_string();
        for (item, cached) in items.iter().zip(self.download(items)?) {
            self.interrupt.check()?;
            match item.what {
                What::Video => place::link(&cached, &item.to, &repository)?,
                What::Table | What::Archive(_) => place::copy(&cached, &item.to, &repository)?,
            }
        }
        Ok(())
    }

    fn unpack(&mut self, item: &Item) -> Result<(), FetchError> {
        let What::Archive(form) = item.what else { return Ok(()) };
        let pieces = self.download(&[item])?;
        let name = item.name();
        let archive = Archive { name, form, pieces: &pieces };
        fs::create_dir_all(&item.to).map_err(|source| FetchError::Write { path: item.to.clone(), source })?;
        let mut told = 0;
        let mut on_bytes = |done, total| {
            // More often than this is nothing to see.
            if done - told >= TELL_BYTES || done == total {
                told = done;
                (self.on_event)(Event::Unpacking { done, total });
            }
        };
        let files = unpack::unpack(archive, &item.to, self.interrupt, &mut on_bytes)?;
        self.plan.marker(item).write(&self.plan.data, &files)?;
        self.done.archives += 1;
        self.done.unpacked_files += files.len();
        let bytes = files.iter().map(|Unpacked { bytes, .. }| bytes).sum();
        (self.on_event)(Event::Unpacked { archive: name.to_owned(), files: files.len(), bytes });
        Ok(())
    }
}

const TELL_BYTES: u64 = 1 << 22;

fn names<'i>(items: &[&'i Item]) -> Vec<&'i str> {
    items.iter().flat_map(|item| item.files.iter().map(|file| file.name.as_str())).collect()
}

/// Held while this process writes below the folder.
fn lock(data: &Path) -> Result<File, FetchError> {
    let path = data.join(FOLDER).join("lock");
    let write = |source| FetchError::Write { path: path.clone(), source };
    fs::create_dir_all(data.join(FOLDER)).map_err(write)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(write)?;
    match try_lock(&file, Mode::Exclusive).map_err(write)? {
        Taken::ByAnother => Err(FetchError::Busy { dir: data.to_owned() }),
        Taken::Held | Taken::NoLocks => Ok(file),
    }
}
