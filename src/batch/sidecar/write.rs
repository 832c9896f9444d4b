//! A file that is there whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether a file is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    New,
    /// One was there already, and stays as it was.
    Kept,
}

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// Writes a file, in directories that are made where they are not there. It gets its name when it is whole.
///
/// # Errors
/// [`WriteError`]; nothing is left behind.
pub fn write(path: &Path, content: &str, overwrite: bool) -> Result<Written, WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    if !overwrite && path.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        return Ok(Written::Kept);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Hidden, so that no one who lists the directory takes it for a caption.
    let mut builder = tempfile::Builder::new();
    builder.prefix(".llava-video-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut partial = builder.tempfile_in(folder).map_err(failed)?;
    partial.write_all(content.as_bytes()).map_err(failed)?;
    partial.persist(path).map_err(|error| failed(error.error))?;
    Ok(Written::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_once_unless_it_is_to_be_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/a.txt");
        let read = || std::fs::read_to_string(&path).unwrap();
        assert_eq!((write(&path, "one", false).unwrap(), read()), (Written::New, "one".to_owned()));
        assert_eq!((write(&path, "two", false).unwrap(), read()), (Written::Kept, "one".to_owned()));
        assert_eq!((write(&path, "three", true).unwrap(), read()), (Written::New, "three".to_owned()));
        assert_eq!(names(path.parent().unwrap()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("a.txt"), dir.path().join("b.txt"));
        write(&ours, "", false).unwrap();
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn an_error_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a.txt/b")).unwrap();
        assert!(write(&dir.path().join("a.txt"), "one", true).is_err());
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = write(&dir.path().join("file/c.txt"), "one", false).unwrap_err();
        assert_eq!(error.path, dir.path().join("file/c.txt"));
        assert_eq!(names(dir.path()), ["a.txt", "file"]);
    }
}
