//! A tar, in one piece or several. No entry can be larger than its share of the tar, which bounds what is written.
//!
//! Headers are read here, not by the crate, which reads those of long names whole however long they say they are.

use std::io::{BufReader, Read};

use tar::{EntryType, PaxExtensions};

use super::archive::{Archive, MAX_ENTRIES};
use super::error::{Refusal, UnpackError};
use super::joined::Joined;
use super::name::{link_target, safe};
use super::target::Target;

/// Most bytes of a long name, or of the attributes of a file.
const MAX_HEADER_BYTES: u64 = 1 << 20;

const BLOCK_BYTES: usize = 512;
const BUFFER_BYTES: usize = 1 << 18;

/// What the headers before an entry say about it.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

pub(super) fn unpack(archive: Archive, target: &mut Target) -> Result<(), UnpackError> {
    let damaged =
        |error: &std::io::Error| UnpackError::Damaged { archive: archive.name.to_owned(), message: error.to_string() };
    let mut total = 0u64;
    for piece in archive.pieces {
        let read = |source| UnpackError::Read { path: piece.clone(), source };
        total = total.saturating_add(piece.metadata().map_err(read)?.len());
    }
    target.expect(total, total.saturating_sub(target.kept_bytes()))?;
    let mut tar = tar::Archive::new(BufReader::with_capacity(BUFFER_BYTES, Joined::new(archive.pieces)));
    let mut said = Said::default();
    let mut count = 0;
    for entry in tar.entries().map_err(|error| damaged(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| damaged(&error))?;
        count += 1;
        if count > MAX_ENTRIES {
            let (archive, bytes) = (archive.name.to_owned(), target.done());
            return Err(UnpackError::Bomb { archive, entries: count, bytes, archive_bytes: total });
        }
        let kind = entry.header().entry_type();
        let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let name = said.name.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
        let refuse = |why| UnpackError::Refused { archive: archive.name.to_owned(), entry: shown(&name), why };
        if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() {
            if entry.size() > MAX_HEADER_BYTES {
                return Err(refuse(Refusal::Header));
            }
            let mut header = Vec::new();
            entry.read_to_end(&mut header).map_err(|error| damaged(&error))?;
            said.take(kind, header).map_err(refuse)?;
            continue;
        }
        // Nothing in it is about files.
        if kind.is_pax_global_extensions() {
            continue;
        }
        let Said { link, size, .. } = std::mem::take(&mut said);
        if size.is_some_and(|size| size != entry.size()) {
            return Err(refuse(Refusal::Size));
        }
        let path = safe(&name).map_err(refuse)?;
        let link = || link.or_else(|| entry.link_name_bytes().map(|bytes| bytes.into_owned())).unwrap_or_default();
        match kind {
            EntryType::Directory => target.folder(&path)?,
            // Before POSIX, a folder was a file with a slash at its end.
            EntryType::Regular if name.ends_with(b"/") => target.folder(&path)?,
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                target.file(&path, size, &mut entry)?;
            }
            EntryType::Symlink => {
                let to = link_target(&path, &link()).map_err(refuse)?;
                target.link(path, to)?;
            }
            EntryType::Link => {
                let to = safe(&link()).map_err(refuse)?;
                target.link(path, to)?;
            }
            _ => return Err(refuse(Refusal::Kind)),
        }
    }
    // It ends with two empty blocks, of which the first was read.
    let mut end = [1; BLOCK_BYTES];
    match tar.into_inner().read_exact(&mut end) {
        Ok(()) if end == [0; BLOCK_BYTES] => Ok(()),
        _ => Err(UnpackError::Damaged {
            archive: archive.name.to_owned(),
            message: "it is not whole: a piece is missing".to_owned(),
        }),
    }
}

impl Said {
    fn take(&mut self, kind: EntryType, mut header: Vec<u8>) -> Result<(), Refusal> {
        if !kind.is_pax_local_extensions() {
            // The name ends with a zero.
            header.truncate(header.iter().position(|&byte| byte == 0).unwrap_or(header.len()));
            *(if kind.is_gnu_longname() { &mut self.name } else { &mut self.link }) = Some(header);
            return Ok(());
        }
        for extension in PaxExtensions::new(&header) {
            let extension = extension.map_err(|_| Refusal::Header)?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or(Refusal::Header)?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(Refusal::Kind),
                _ => {}
            }
        }
        Ok(())
    }
}
