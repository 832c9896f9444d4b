//! ZIPs and tars, written in memory.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Names and bytes of files.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A ZIP of stored files.
pub(crate) fn zip_of(files: &Files) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A ZIP of one file of zeros, deflated.
pub(crate) fn zip_of_zeros(name: &str, count: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
    zip.write_all(&vec![0; count]).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A ZIP of a symbolic link.
pub(crate) fn zip_of_link(name: &str, to: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink(name, to, SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A tar.
pub(crate) fn tar_of(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar of one entry, whose name and target are written as they are.
pub(crate) fn tar_of_entry(name: &str, kind: EntryType, link: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, bytes).unwrap();
    tar.into_inner().unwrap()
}

/// `bytes` with every `from` replaced by `to`, which is as long.
pub(crate) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        bytes[at + found..][..to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    bytes
}
