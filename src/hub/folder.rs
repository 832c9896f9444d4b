//! What is in the folders of the cache.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::small_file;

/// What is in a folder, sorted; nothing where it is not there.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: dir.to_owned(), source };
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(read)?.path())).collect::<Result<Vec<_>, Error>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(read(error)),
    };
    entries.sort();
    Ok(entries)
}

/// All branches and tags below `refs`, with the commit each means.
pub(super) fn references(refs: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![refs.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if let (Ok(name), Ok(commit)) = (path.strip_prefix(refs), small_file::read_line(&path)) {
                found.push((name.to_string_lossy().into_owned(), commit));
            }
        }
    }
    Ok(found)
}
