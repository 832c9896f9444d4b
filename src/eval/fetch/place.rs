//! A file of the cache, put where the evaluation looks for it: whole or not at all, and never over another.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use super::error::FetchError;

/// Writes a file so that others see it whole or not at all. What a killed run leaves, the next one writes over.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<(), FetchError> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    let unfinished = path.with_file_name(name);
    let whole = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let file = File::create(&unfinished)?;
        let mut buffered = BufWriter::new(&file);
        write(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    whole().map_err(|source| {
        let _ = fs::remove_file(&unfinished);
        FetchError::Write { path: path.to_owned(), source }
    })
}

/// A copy of a table.
pub(super) fn copy(cached: &Path, to: &Path, repository: &str) -> Result<(), FetchError> {
    if fs::symlink_metadata(to).is_ok() {
        return match is_same(cached, to) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FetchError::Differs { path: to.to_owned(), repository: repository.to_owned() }),
            Err(source) => Err(FetchError::Read { path: to.to_owned(), source }),
        };
    }
    let mut from = File::open(cached).map_err(|source| FetchError::Read { path: cached.to_owned(), source })?;
    write_whole(to, |file| std::io::copy(&mut from, file).map(drop))
}

/// A second name for a video, so that it takes no room twice; a copy where the cache is on another disk.
pub(super) fn link(cached: &Path, to: &Path, repository: &str) -> Result<(), FetchError> {
    if fs::symlink_metadata(to).is_ok() {
        return copy(cached, to, repository);
    }
    let link = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        // The cache has links to its files, of which a second name would be one more link.
        fs::hard_link(fs::canonicalize(cached)?, to)
    };
    link().or_else(|_| copy(cached, to, repository))
}

fn is_same(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let metadata = other.metadata()?;
    if !metadata.is_file() || metadata.len() != one.metadata()?.len() {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let count = one.read(&mut ours)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut theirs[..count])?;
        if ours[..count] != theirs[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("a/b/to"));
        fs::write(&from, "text").unwrap();
        for put in [copy, link] {
            put(&from, &to, "o/n").unwrap();
            put(&from, &to, "o/n").unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), "text");
            for other in ["more text", "teXt"] {
                fs::remove_file(&to).unwrap();
                fs::write(&to, other).unwrap();
                assert!(matches!(put(&from, &to, "o/n"), Err(FetchError::Differs { .. })));
                assert_eq!(fs::read_to_string(&to).unwrap(), other);
            }
            fs::remove_file(&to).unwrap();
        }
    }
}
