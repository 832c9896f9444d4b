//! The head of a safetensors file: eight bytes of length and the JSON that lists its tensors.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;

use super::error::Error;

/// Bytes of the length field in front of the JSON.
const LENGTH_BYTES: u64 = 8;

/// The longest JSON that the format allows.
const MAX_JSON_BYTES: u64 = 100_000_000;

/// The head of a weight file whose tensors' data are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightHead {
    /// The file's name.
    pub name: String,
    /// Size of the whole file in bytes.
    pub file_bytes: u64,
    /// The length field and the JSON.
    pub bytes: Vec<u8>,
}

/// How many bytes the head of a file takes that begins with `start`: at least eight of them.
///
/// # Errors
/// Why no safetensors file of `file_bytes` bytes begins like this.
pub(super) fn head_bytes(start: &[u8], file_bytes: u64) -> Result<u64, String> {
    let Some(length) = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return Err(format!("it has {file_bytes} bytes, too few for a header"));
    };
    match length {
        0..=MAX_JSON_BYTES if LENGTH_BYTES + length <= file_bytes => Ok(LENGTH_BYTES + length),
        _ => Err(format!("its header would take {length} of its {file_bytes} bytes")),
    }
}

/// Where the data start and what the tensors are; the file must be exactly as long as they need.
pub(super) fn parse(head: &[u8], file_bytes: u64) -> Result<(usize, Metadata), String> {
    let json = head.get(LENGTH_BYTES as usize..).unwrap_or_default();
    let metadata: Metadata =
        serde_json::from_slice(json).map_err(|error| format!("its header cannot be parsed: {error}"))?;
    let expected = (head.len() as u64).saturating_add(metadata.data_len() as u64);
    match expected == file_bytes {
        true => Ok((head.len(), metadata)),
        false => Err(format!("it has {file_bytes} bytes, its header says {expected}")),
    }
}

/// What the beginning of a weight file is found to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// The whole head, and one that can be read.
    Whole(Vec<u8>),
    /// It ends before its head does, which takes at least so many bytes.
    Cut {
        /// Bytes from the file's beginning.
        wanted: u64,
    },
    /// No weight file of this length begins so.
    Invalid(String),
}

/// Looks for the head of a file that will have `file_bytes` bytes in what there is of it at `path`.
pub(crate) fn find(path: &Path, file_bytes: u64) -> std::io::Result<Found> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(LENGTH_BYTES).read_to_end(&mut head)?;
    if (head.len() as u64) < LENGTH_BYTES.min(file_bytes) {
        return Ok(Found::Cut { wanted: LENGTH_BYTES });
    }
    let wanted = match head_bytes(&head, file_bytes) {
        Ok(wanted) => wanted,
        Err(message) => return Ok(Found::Invalid(message)),
    };
    file.take(wanted - LENGTH_BYTES).read_to_end(&mut head)?;
    if (head.len() as u64) < wanted {
        return Ok(Found::Cut { wanted });
    }
    Ok(match parse(&head, file_bytes) {
        Ok(_) => Found::Whole(head),
        Err(message) => Found::Invalid(message),
    })
}

/// Reads the head of the file at `path`, and checks the file's length against it.
pub(super) fn read(path: &Path) -> Result<(usize, Metadata), Error> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let damaged = |message: String| Error::DamagedWeights { path: path.to_owned(), message };
    let file_bytes = path.metadata().map_err(read_error)?.len();
    match find(path, file_bytes).map_err(read_error)? {
        Found::Whole(head) => parse(&head, file_bytes).map_err(damaged),
        Found::Cut { .. } => Err(damaged("it became shorter while it was read".to_owned())),
        Found::Invalid(message) => Err(damaged(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &[u8] = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

    fn file(json: &[u8], data: usize) -> Vec<u8> {
        [&(json.len() as u64).to_le_bytes()[..], json, &vec![0; data]].concat()
    }

    #[test]
    fn a_head_tells_its_own_length_and_the_files() {
        let whole = file(JSON, 8);
        let head = head_bytes(&whole, whole.len() as u64).expect("a head") as usize;
        let (start, metadata) = parse(&whole[..head], whole.len() as u64).expect("a whole file");
        assert_eq!((start, metadata.tensors().len()), (8 + JSON.len(), 1));
        for size in [whole.len() as u64 - 1, whole.len() as u64 + 1] {
            assert!(parse(&whole[..head], size).is_err(), "{size}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        assert!(head_bytes(b"<html>", 6).is_err());
        assert!(head_bytes(b"<!DOCTYPE html>", 1 << 40).is_err(), "a length of exabytes");
        assert!(head_bytes(&file(JSON, 0)[..8], 20).is_err(), "longer than the file");
        assert!(parse(&file(b"[]", 0), 10).is_err());
    }
}
