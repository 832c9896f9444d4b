//! What is no clip, told before FFmpeg sees the file.

use std::path::Path;

use super::error::Error;

/// Refuses what cannot be a clip, before FFmpeg sees it; returns the file's length in bytes.
pub(super) fn check_file(path: &Path) -> Result<u64, Error> {
    let path = || path.to_owned();
    let metadata = match std::fs::metadata(path()) {
        Ok(metadata) => metadata,
        Err(_) if is_url(&path()) => return Err(Error::Url { path: path() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { path: path() });
        }
        Err(source) => {
            return Err(Error::Io { path: path(), source });
        }
    };
    if metadata.is_dir() {
        return Err(Error::Directory { path: path() });
    }
    if !metadata.is_file() {
        return Err(Error::NotRegular { path: path() });
    }
    if metadata.len() == 0 {
        return Err(Error::EmptyFile { path: path() });
    }
    // FFmpeg's own words for a refusal are poorer than the system's.
    match std::fs::File::open(path()) {
        Ok(_) => Ok(metadata.len()),
        Err(source) => Err(Error::Io { path: path(), source }),
    }
}

/// True for `scheme://...`.
fn is_url(path: &Path) -> bool {
    let Some((scheme, _)) = path.to_str().and_then(|path| path.split_once("://")) else {
        return false;
    };
    scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+.-".contains(letter))
}
