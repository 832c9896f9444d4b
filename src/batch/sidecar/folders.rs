//! Which directory and which file a path means, whatever links lead there, and whether or not it is there yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// So many entries of a directory are looked at for a name with letters in it.
const ENTRIES: usize = 32;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] PathBuf);

impl Identity {
    /// None where nothing is.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        path.metadata().ok().map(|metadata| Self((metadata.dev(), metadata.ino())))
    }

    /// None where nothing is.
    #[cfg(not(unix))]
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.canonicalize().ok().map(Self)
    }
}

/// Directories, each asked for once.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By the text of a path.
    by_text: HashMap<PathBuf, usize>,
    /// By what the path means.
    by_meaning: HashMap<PathBuf, usize>,
    paths: Vec<PathBuf>,
}

impl Folders {
    /// The number of the directory that a path lies in, and its name there.
    pub(super) fn place(&mut self, path: &Path) -> Option<(usize, String)> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let folder = path.parent()?;
        if let Some(&index) = self.by_text.get(folder) {
            return Some((index, name));
        }
        let meaning = resolved(folder);
        let index = *self.by_meaning.entry(meaning.clone()).or_insert(self.paths.len());
        if index == self.paths.len() {
            self.paths.push(meaning);
        }
        self.by_text.insert(folder.to_owned(), index);
        Some((index, name))
    }

    /// The directory of this number.
    pub(super) fn path(&self, index: usize) -> &Path {
        &self.paths[index]
    }
}

/// Without links, as far as it is there.
fn resolved(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find_map(|ancestor| {
        let readable = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        Some((ancestor, readable.canonicalize().ok()?))
    });
    match there {
        Some((ancestor, canonical)) => canonical.join(folder.strip_prefix(ancestor).unwrap_or(folder)),
        None => folder.to_owned(),
    }
}

/// Whether names in a directory (or in the first above it that is there) mean the same in any case, as far as the
/// names of its entries, or its own, let it tell.
pub(super) fn is_caseless(folder: &Path) -> bool {
    let Some(folder) = folder.ancestors().find(|folder| folder.is_dir()) else { return false };
    let entries = folder.read_dir().into_iter().flatten().flatten().take(ENTRIES).map(|entry| entry.path());
    entries.chain([folder.to_owned()]).find_map(|path| is_same_in_other_case(&path)).unwrap_or(false)
}

/// None where the name has no other case.
fn is_same_in_other_case(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    let upper = if name == name.to_ascii_uppercase() { name.to_ascii_lowercase() } else { name.to_ascii_uppercase() };
    let identity = Identity::of(path).filter(|_| upper != name)?;
    // Two files that both are there may still be one, by a hard link; hardly in both cases.
    Some(Identity::of(&path.with_file_name(upper)) == Some(identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_place_whatever_its_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let mut folders = Folders::default();
        let mut place = |below: &str| folders.place(&dir.path().join(below)).unwrap();
        assert_eq!(place("a/x"), place("a/../a/x"));
        assert_eq!(place("a/new/x"), place("./a/new/x"));
        assert_ne!(place("a/x").0, place("x").0);
        assert_eq!(folders.place(Path::new("x")), folders.place(&std::env::current_dir().unwrap().join("x")));
        assert_eq!(folders.place(Path::new("..")), None);
    }

    /// Either the file system tells cases apart, or it finds the file by its other name.
    #[test]
    fn a_file_system_is_asked_for_what_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new/er");
        std::fs::write(dir.path().join("Name"), "").unwrap();
        let expected = dir.path().join("NAME").exists();
        assert_eq!((is_caseless(dir.path()), is_caseless(&folder)), (expected, expected));
        assert_eq!(is_same_in_other_case(Path::new("/")), None);
    }
}
