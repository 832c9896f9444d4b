//! The small text files of a checkpoint: from its directory, out of a GGUF file that carries them, of the program, or
//! generated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::document_names::{check_size, max_bytes};
use super::error::Error;
use super::generated::{self, Size};
use super::gguf::header::Header;
use super::source::{BuiltInFiles, Source};

/// Where the text files of one checkpoint are.
pub(crate) enum Documents {
    /// Files in a directory.
    Directory(PathBuf),
    /// Texts inside a GGUF file, by file name.
    Gguf {
        /// The GGUF file.
        path: PathBuf,
        /// The texts.
        texts: BTreeMap<&'static str, String>,
    },
    /// Files inside the program.
    BuiltIn {
        /// What to call them.
        name: &'static str,
        /// The files.
        files: BuiltInFiles,
    },
    /// The config.json of a generated checkpoint, alone.
    Generated {
        /// What to call it.
        name: &'static str,
        /// What it describes.
        size: Size,
    },
}

impl Documents {
    /// Those of the checkpoint at `source`.
    ///
    /// # Errors
    /// A GGUF file that is malformed, or was not made by this program.
    pub(crate) fn open(source: &Source) -> Result<Self, Error> {
        match source {
            Source::Path(path) if path.is_file() => Self::of_gguf(&Header::read(path)?),
            Source::Path(dir) | Source::Heads { dir, .. } => Ok(Self::Directory(dir.clone())),
            Source::BuiltIn { name, files } => Ok(Self::BuiltIn { name, files }),
            &Source::Generated { name, size } => Ok(Self::Generated { name, size }),
        }
    }

    /// Those that a GGUF file carries.
    ///
    /// # Errors
    /// [`Error::ForeignGguf`] for a file that this program did not write.
    pub(super) fn of_gguf(header: &Header) -> Result<Self, Error> {
        Ok(Self::Gguf { path: header.path.clone(), texts: header.texts()? })
    }

    /// What to call a document in messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(dir) => dir.join(name),
            Self::Gguf { path, .. } => PathBuf::from(format!("{}:{name}", path.display())),
            Self::BuiltIn { name: model, .. } | Self::Generated { name: model, .. } => {
                PathBuf::from(format!("{name} of {model}"))
            }
        }
    }

    /// A document's bytes; `Ok(None)` where there is none of this name.
    ///
    /// # Errors
    /// A file that cannot be read, or is longer than any real one of its name.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Gguf { texts, .. } => Ok(texts.get(name).map(|text| text.clone().into_bytes())),
            Self::BuiltIn { files, .. } => Ok(Source::built_in(files, name).map(<[u8]>::to_vec)),
            Self::Generated { size, .. } => {
                Ok((name == "config.json").then(|| generated::config(size).to_string().into_bytes()))
            }
            Self::Directory(dir) => read_file(&dir.join(name), name),
        }
    }
}

fn read_file(path: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    // A pipe or a device may have no end and no length.
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => check_size(path, name, metadata.len())?,
        Ok(_) => return Err(unreadable(std::io::Error::other("it is not a regular file"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // It may have grown since.
    file.take(max_bytes(name) + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    check_size(path, name, bytes.len() as u64)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::document_names::NAMES;
    use super::*;

    #[test]
    fn files_longer_than_any_real_one_are_refused_unread() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let documents = Documents::Directory(dir.path().to_owned());
        for name in NAMES.into_iter().chain(["model.safetensors.index.json"]) {
            let file = File::create(dir.path().join(name)).expect("a file");
            file.set_len(max_bytes(name) + 1).expect("a hole");
            match documents.read(name) {
                Err(Error::TooLarge { path, bytes, max_bytes }) => {
                    assert_eq!((path, bytes), (dir.path().join(name), max_bytes + 1));
                }
                other => panic!("{name}: {:?}", other.map(|bytes| bytes.map(|bytes| bytes.len()))),
            }
        }
        std::fs::write(dir.path().join("config.json"), "{}").expect("a small file");
        assert_eq!(documents.read("config.json").expect("small").as_deref(), Some(&b"{}"[..]));
        std::fs::create_dir(dir.path().join("no-file")).expect("a directory");
        assert!(matches!(documents.read("no-file"), Err(Error::Read { .. })));
        assert!(matches!(documents.read("missing.json"), Ok(None)));
    }
}
