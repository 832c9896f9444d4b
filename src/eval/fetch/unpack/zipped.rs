//! A ZIP: its directory says what there will be, which is weighed before anything is written.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Error, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::ZipArchive;
use zip::result::ZipError;

use super::archive::{Archive, MAX_ENTRIES, MAX_RATIO};
use super::error::{Refusal, UnpackError};
use super::name::{link_target, safe};
use super::target::Target;

/// The directory is held in memory; the most that may be read of a file to find and read it.
const MAX_DIRECTORY_BYTES: u64 = 1 << 29;

/// Most bytes of what a link leads to.
const MAX_LINK_BYTES: u64 = 4096;

/// What a tiny archive may unpack to.
const MIN_BOUND_BYTES: u64 = 1 << 20;

type Zip = ZipArchive<Bounded<BufReader<File>>>;

pub(super) fn unpack(archive: Archive, target: &mut Target) -> Result<(), UnpackError> {
    for path in archive.pieces {
        let read = |source| UnpackError::Read { path: path.clone(), source };
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let left = Rc::new(Cell::new(MAX_DIRECTORY_BYTES));
        let file = Bounded { file: BufReader::new(file), left: Rc::clone(&left) };
        let mut zip = ZipArchive::new(file).map_err(|error| damaged(archive, &error))?;
        weigh(archive, &zip, length, target)?;
        // From here on it is the entries' own sizes that bound what is read.
        left.set(u64::MAX);
        for index in 0..zip.len() {
            unpack_entry(archive, &mut zip, index, target)?;
        }
    }
    Ok(())
}

/// Refuses what would become too large, or has no room; and every name, before the first is written.
fn weigh(archive: Archive, zip: &Zip, length: u64, target: &mut Target) -> Result<(), UnpackError> {
    if zip.has_duplicate_names() {
        let message = "its directory names a file twice".to_owned();
        return Err(UnpackError::Damaged { archive: archive.name.to_owned(), message });
    }
    let (mut bytes, mut packed, mut missing) = (0u64, 0u64, 0u64);
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|error| damaged(archive, &error))?;
        let path = safe(entry.name_raw()).map_err(|why| refused(archive, entry.name_raw(), why))?;
        bytes = bytes.saturating_add(entry.size());
        packed = packed.saturating_add(entry.compressed_size());
        if !target.has(&path, entry.size()) {
            missing = missing.saturating_add(entry.size());
        }
    }
    // Entries that share their bytes are how a small file becomes a large one.
    if zip.len() > MAX_ENTRIES || packed > length || bytes > length.saturating_mul(MAX_RATIO).max(MIN_BOUND_BYTES) {
        let (entries, archive) = (zip.len(), archive.name.to_owned());
        return Err(UnpackError::Bomb { archive, entries, bytes, archive_bytes: length });
    }
    target.expect(bytes, missing)
}

fn unpack_entry(archive: Archive, zip: &mut Zip, index: usize, target: &mut Target) -> Result<(), UnpackError> {
    let mut entry = zip.by_index(index).map_err(|error| damaged(archive, &error))?;
    let name = entry.name_raw().to_vec();
    let refuse = |why| refused(archive, &name, why);
    let path = safe(&name).map_err(refuse)?;
    if entry.is_dir() {
        return target.folder(&path);
    }
    if entry.is_symlink() {
        if entry.size() > MAX_LINK_BYTES {
            return Err(refuse(Refusal::Link));
        }
        let mut to = Vec::new();
        let read = (&mut entry).take(MAX_LINK_BYTES).read_to_end(&mut to);
        read.map_err(|error| damaged(archive, &error.into()))?;
        return target.link(path.clone(), link_target(&path, &to).map_err(refuse)?);
    }
    // Devices and pipes, as Unix writes the kind of a file.
    if entry.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000)) {
        return Err(refuse(Refusal::Kind));
    }
    let size = entry.size();
    target.file(&path, size, &mut entry)
}

fn damaged(archive: Archive, error: &ZipError) -> UnpackError {
    UnpackError::Damaged { archive: archive.name.to_owned(), message: error.to_string() }
}

fn refused(archive: Archive, name: &[u8], why: Refusal) -> UnpackError {
    let entry = String::from_utf8_lossy(name).into_owned();
    UnpackError::Refused { archive: archive.name.to_owned(), entry, why }
}

/// A file of which only so much is read.
struct Bounded<R> {
    file: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => return Err(Error::other("its directory is too long")),
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}
