//! The files of a directory, and of those below it.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use crate::video::names::is_hidden;

/// As deep as it goes.
pub(super) const ALL_LEVELS: usize = usize::MAX;

/// What a walk came by; hidden entries are left out.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// All that is no directory, in natural order: `clip2` before `clip10`.
    pub(super) files: Vec<PathBuf>,
    /// How many directories were not looked into, as they lie too deep.
    pub(super) closed: usize,
}

/// Walks `levels` levels of directories, `root` being the first. Links are followed. Without a limit each directory is
/// looked into once, however many links lead to it, so that links in a circle have an end.
///
/// # Errors
/// A directory that cannot be read, and what the system says.
pub(super) fn walk(root: &Path, levels: usize) -> Result<Walk, (PathBuf, io::Error)> {
    let mut found = Walk::default();
    let mut seen = HashSet::new();
    // Links wait, so that what lies in the tree itself is reached without them.
    let (mut folders, mut linked) = (vec![(root.to_owned(), levels)], VecDeque::new());
    while let Some((folder, levels)) = folders.pop().or_else(|| linked.pop_front()) {
        let failed = |error| (folder.clone(), error);
        if levels == ALL_LEVELS && !seen.insert(readable(&folder).canonicalize().map_err(failed)?) {
            continue;
        }
        for (name, kind) in entries(readable(&folder)).map_err(failed)? {
            let path = folder.join(name);
            match (kind.is_dir(), kind.is_symlink() && path.is_dir()) {
                (false, false) => found.files.push(path),
                _ if levels == 1 => found.closed += 1,
                (true, _) => folders.push((path, below(levels))),
                (_, true) => linked.push_back((path, below(levels))),
            }
        }
    }
    // The natural order takes `1` and `01` for equal.
    found.files.sort();
    alphanumeric_sort::sort_path_slice(&mut found.files);
    Ok(found)
}

fn below(levels: usize) -> usize {
    if levels == ALL_LEVELS { ALL_LEVELS } else { levels - 1 }
}

/// The system does not know the empty path.
fn readable(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// What is not hidden, by name.
fn entries(folder: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        if !is_hidden(Path::new(&name)) {
            entries.push((name, entry.file_type()?));
        }
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}
