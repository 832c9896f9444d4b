//! The folder that an archive is unpacked in. A file is written beside its place and gets its name when it is whole, so
//! that a run that is killed at any moment leaves whole files and one that nobody takes for another.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::archive::Unpacked;
use super::error::{Refusal, UnpackError};
use super::name::is_litter;
use crate::disk;
use crate::interrupt::Interrupt;

/// What a file is called until it is whole. A run that goes on writes the same file there again.
pub(super) const UNFINISHED: &str = ".unpacking";

const BUFFER_BYTES: usize = 1 << 18;

/// Left free beside what is unpacked, for folders.
const MARGIN_BYTES: u64 = 1 << 20;

/// Links that lead to links; more is a ring.
const MAX_HOPS: usize = 16;

/// Where the entries of one archive go.
pub(super) struct Target<'a> {
    archive: &'a str,
    root: &'a Path,
    interrupt: &'a Interrupt,
    on_bytes: &'a mut dyn FnMut(u64, u64),
    /// What has been unpacked or was there, with its bytes.
    files: HashMap<String, u64>,
    /// Links by name, with the file that each is to be.
    links: HashMap<String, String>,
    done: u64,
    total: u64,
    buffers: [Vec<u8>; 2],
}

impl<'a> Target<'a> {
    pub(super) fn new(
        archive: &'a str,
        root: &'a Path,
        interrupt: &'a Interrupt,
        on_bytes: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        let buffers = [vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]];
        let (files, links) = (HashMap::new(), HashMap::new());
        Self { archive, root, interrupt, on_bytes, files, links, done: 0, total: 0, buffers }
    }

    /// Makes sure of the room for `missing` bytes of `total`.
    pub(super) fn expect(&mut self, total: u64, missing: u64) -> Result<(), UnpackError> {
        self.total = self.total.saturating_add(total);
        Ok(disk::check(self.root, missing.saturating_add(MARGIN_BYTES))?)
    }

    /// Bytes that have been gone through.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// What is below the folder already, be it of this archive or of another.
    pub(super) fn kept_bytes(&self) -> u64 {
        disk::bytes_below(self.root)
    }

    /// Whether a file of this size is there.
    pub(super) fn has(&self, path: &str, size: u64) -> bool {
        fs::metadata(self.root.join(path)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    pub(super) fn folder(&mut self, path: &str) -> Result<(), UnpackError> {
        if is_litter(path) {
            return Ok(());
        }
        make_folder(&self.root.join(path))
    }

    /// Brings a file, or compares the one that is there.
    pub(super) fn file(&mut self, path: &str, size: u64, from: &mut dyn Read) -> Result<(), UnpackError> {
        if is_litter(path) {
            return Ok(());
        }
        if path.is_empty() || path.rsplit('/').next() == Some(UNFINISHED) {
            return Err(self.refused(path, Refusal::Name));
        }
        if self.files.contains_key(path) {
            return Err(self.refused(path, Refusal::Twice));
        }
        let place = self.root.join(path);
        if fs::symlink_metadata(&place).is_ok() {
            self.compare(path, &place, size, from)?;
        } else {
            self.write(path, &place, size, from)?;
        }
        self.files.insert(path.to_owned(), size);
        Ok(())
    }

    /// A link becomes the file that it leads to, once all are there.
    pub(super) fn link(&mut self, path: String, to: String) -> Result<(), UnpackError> {
        if is_litter(&path) {
            return Ok(());
        }
        if self.files.contains_key(&path) || self.links.contains_key(&path) {
            return Err(self.refused(&path, Refusal::Twice));
        }
        self.links.insert(path, to);
        Ok(())
    }

    /// What there is of an archive of so many bytes, now that it has been gone through. Its links become files of no
    /// more bytes than it has itself.
    pub(super) fn finish(mut self, archive_bytes: u64) -> Result<Vec<Unpacked>, UnpackError> {
        let links = std::mem::take(&mut self.links);
        let mut ends: Vec<(&String, &String)> = Vec::new();
        for (path, to) in &links {
            let mut end = to;
            for _ in 0..MAX_HOPS {
                match links.get(end) {
                    Some(next) => end = next,
                    None => break,
                }
            }
            match self.files.contains_key(end) && !self.files.contains_key(path) {
                true => ends.push((path, end)),
                false => return Err(self.refused(path, Refusal::Link)),
            }
        }
        let mut linked: Vec<(String, u64)> = Vec::new();
        let bytes = ends.iter().fold(0u64, |sum, (_, end)| sum.saturating_add(self.files[*end]));
        if bytes > archive_bytes {
            let (archive, entries) = (self.archive.to_owned(), self.files.len() + ends.len());
            return Err(UnpackError::Bomb { archive, entries, bytes: self.done.saturating_add(bytes), archive_bytes });
        }
        for (path, end) in ends {
            let size = self.files[end];
            self.expect(0, size)?;
            let from = self.root.join(end);
            let mut file = File::open(&from).map_err(|source| UnpackError::Read { path: from, source })?;
            let place = self.root.join(path);
            match fs::symlink_metadata(&place) {
                Ok(_) => self.compare(path, &place, size, &mut file)?,
                Err(_) => self.write(path, &place, size, &mut file)?,
            }
            linked.push((path.clone(), size));
        }
        let files = self.files.into_iter().chain(linked);
        Ok(files.map(|(path, bytes)| Unpacked { path, bytes }).collect())
    }

    fn write(&mut self, path: &str, place: &Path, size: u64, from: &mut dyn Read) -> Result<(), UnpackError> {
        let folder = place.parent().unwrap_or(self.root);
        make_folder(folder)?;
        let unfinished = folder.join(UNFINISHED);
        let write = |source| UnpackError::Write { path: unfinished.clone(), source };
        // What an earlier run left there; a link would be written through.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write(error)),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished).map_err(write)?;
        let written = self.copy(path, &mut file, size, from).map_err(|error| match error {
            UnpackError::Write { source, .. } => write(source),
            error => error,
        });
        drop(file);
        if let Err(error) = written {
            // The next run would write over it.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, place).map_err(|source| UnpackError::Write { path: place.to_owned(), source })
    }

    fn copy(&mut self, path: &str, to: &mut File, size: u64, from: &mut dyn Read) -> Result<(), UnpackError> {
        let mut left = size;
        loop {
            let count = self.read(path, left, from)?;
            if count == 0 {
                return Ok(());
            }
            let write = |source| UnpackError::Write { path: PathBuf::from(path), source };
            to.write_all(&self.buffers[0][..count]).map_err(write)?;
            left -= count as u64;
        }
    }

    /// What is there stays, and has to be the same.
    fn compare(&mut self, path: &str, place: &Path, size: u64, from: &mut dyn Read) -> Result<(), UnpackError> {
        let differs = || UnpackError::Differs { archive: self.archive.to_owned(), path: place.to_owned() };
        if !self.has(path, size) {
            return Err(differs());
        }
        let read = |source| UnpackError::Read { path: place.to_owned(), source };
        let mut there = File::open(place).map_err(read)?;
        let mut left = size;
        loop {
            let count = self.read(path, left, from)?;
            if count == 0 {
                return Ok(());
            }
            let [ours, theirs] = &mut self.buffers;
            there.read_exact(&mut theirs[..count]).map_err(read)?;
            if ours[..count] != theirs[..count] {
                return Err(UnpackError::Differs { archive: self.archive.to_owned(), path: place.to_owned() });
            }
            left -= count as u64;
        }
    }

    /// The next bytes of an entry of which `left` are to come, in the first buffer; none at its end.
    fn read(&mut self, path: &str, left: u64, from: &mut dyn Read) -> Result<usize, UnpackError> {
        self.interrupt.check()?;
        loop {
            match from.read(&mut self.buffers[0]) {
                Ok(0) if left > 0 => return Err(self.refused(path, Refusal::Size)),
                Ok(count) if count as u64 > left => return Err(self.refused(path, Refusal::Size)),
                Ok(count) => {
                    self.done += count as u64;
                    (self.on_bytes)(self.done, self.total);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("`{path}`: {error}");
                    return Err(UnpackError::Damaged { archive: self.archive.to_owned(), message });
                }
            }
        }
    }

    fn refused(&self, entry: &str, why: Refusal) -> UnpackError {
        UnpackError::Refused { archive: self.archive.to_owned(), entry: entry.to_owned(), why }
    }
}

fn make_folder(path: &Path) -> Result<(), UnpackError> {
    fs::create_dir_all(path).map_err(|source| UnpackError::Write { path: PathBuf::from(path), source })
}
