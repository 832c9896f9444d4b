//! Which weights a checkpoint holds, told from all others without reading gigabytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::error::Error;
use super::opened::Checkpoint;
use super::source::Source;
use crate::stamp::Stamp;

/// Bytes from the beginning of a weight file that are hashed; the header of a published checkpoint has a tenth of it.
const HEAD_BYTES: u64 = 1 << 20;

/// Places of a weight file, evenly spread and its end among them, that [`Identity::content`] looks at, and how many
/// bytes of each.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 1 << 16;

/// Digits of the names of blobs in the hub's cache: git's SHA-1 of small files, SHA-256 of large ones.
const BLOB_NAME_DIGITS: [usize; 2] = [40, 64];

/// Which weights a checkpoint holds.
///
/// A file of the hub's cache is known by the checksum that is its name, with its size and time, since a damaged file
/// may be repaired. Any other file is known by its place, size and times and by its first bytes, which hold its header.
/// Weights inside the program are hashed.
#[derive(Debug, Clone)]
pub struct Identity {
    text: String,
    content: String,
    stamps: Vec<Stamp>,
}

impl Identity {
    /// Looks at the weight files of a checkpoint. [`changed`](Self::changed) tells whether something has happened to
    /// them since it was opened, so that what was loaded may not be what was looked at.
    ///
    /// # Errors
    /// Weight files that are not here or cannot be read.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        match &checkpoint.source {
            Source::BuiltIn { name, files } => {
                let bytes = Source::built_in(files, "model.safetensors");
                let bytes = bytes.ok_or_else(|| Error::NoWeights { dir: name.into() })?;
                Ok(Self::without_files(format!("built in: {}", blake3::hash(bytes))))
            }
            Source::Generated { size, .. } => Ok(Self::without_files(format!("generated: {size:?}"))),
            Source::Heads { dir, .. } => Err(Error::NoWeights { dir: dir.clone() }),
            Source::Path(_) => Self::of_files(checkpoint.weights.stamps()),
        }
    }

    fn of_files(stamps: &[Stamp]) -> Result<Self, Error> {
        let unreadable = |stamp: &Stamp, source| Error::Read { path: stamp.path().to_owned(), source };
        let lines = stamps.iter().map(|stamp| identify(stamp).map_err(|source| unreadable(stamp, source)));
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        let samples = stamps.iter().map(|stamp| sample(stamp.path()).map_err(|source| unreadable(stamp, source)));
        let samples: Vec<String> = samples.collect::<Result<_, _>>()?;
        Ok(Self { text: lines.join("; "), content: samples.join("; "), stamps: stamps.to_vec() })
    }

    fn without_files(text: String) -> Self {
        Self { content: text.clone(), text, stamps: Vec::new() }
    }

    /// The first file that is not as it was.
    pub fn changed(&self) -> Option<&Path> {
        self.stamps.iter().find(|stamp| !stamp.is_current()).map(Stamp::path)
    }

    /// The same text for the same weights, and for no others.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same text for the same weights on every machine, wherever they lie and however old they are: by the sizes of
    /// the files and samples of their bytes.
    pub(crate) fn content(&self) -> &str {
        &self.content
    }
}

/// The size of a file, and a hash of samples of it.
fn sample(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    let mut read = |from: u64, count: u64| {
        bytes.clear();
        file.seek(SeekFrom::Start(from))?;
        (&file).take(count).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
        Ok::<(), std::io::Error>(())
    };
    read(0, HEAD_BYTES)?;
    let last = len.saturating_sub(SAMPLE_BYTES);
    for place in 1..=SAMPLES {
        // In an order that does not overflow.
        read(last / SAMPLES * place + last % SAMPLES * place / SAMPLES, SAMPLE_BYTES)?;
    }
    Ok(format!("{len} bytes, samples {}", hasher.finalize()))
}

fn identify(stamp: &Stamp) -> std::io::Result<String> {
    let path = stamp.path().canonicalize()?;
    let size_and_time = stamp.size_and_time();
    if let Some(name) = blob_name(&path) {
        return Ok(format!("blob {name}, {size_and_time}"));
    }
    let mut head = Vec::new();
    File::open(&path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let (change, head) = (stamp.time_of_change(), blake3::hash(&head));
    Ok(format!("file {path:?}, {size_and_time}, {change}, begins with {head}"))
}

/// The checksum that a blob of the hub's cache is named after.
fn blob_name(path: &Path) -> Option<&str> {
    let is_in_blobs = path.parent()?.file_name()? == "blobs";
    let name = path.file_name()?.to_str()?;
    let is_digest = BLOB_NAME_DIGITS.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_in_blobs && is_digest).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn identity(dir: &Path) -> Identity {
        let stamp = Stamp::of(&weights(dir)).expect("weights");
        Identity::of_files(&[stamp]).expect("readable")
    }

    fn text(dir: &Path) -> String {
        identity(dir).text
    }

    fn weights(dir: &Path) -> PathBuf {
        dir.join("model.safetensors")
    }

    #[test]
    fn other_bytes_another_place_and_another_time_are_another_checkpoint() {
        let (dir, copy) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
        std::fs::write(weights(dir.path()), "header and weights").expect("a file");
        let first = identity(dir.path());
        assert_eq!(first.text, text(dir.path()));
        std::fs::write(weights(copy.path()), "header and weights").expect("a file");
        assert_ne!(first.text, text(copy.path()));
        assert_eq!(first.content, identity(copy.path()).content);
        std::fs::write(weights(copy.path()), "header and Weights").expect("a file");
        assert_ne!(first.content, identity(copy.path()).content);
        assert_eq!(first.changed(), None);
        // Of the same length, and with the time set back, as an archive's tool does it; not within the same tick of the
        // file system's clock.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let time = weights(dir.path()).metadata().and_then(|metadata| metadata.modified()).expect("a time");
        std::fs::write(weights(dir.path()), "header and Weights").expect("a file");
        File::options().write(true).open(weights(dir.path())).and_then(|file| file.set_modified(time)).expect("set");
        assert!(first.changed().is_some());
        assert_ne!(first.text, text(dir.path()));
        std::fs::remove_file(weights(dir.path())).expect("a removal");
        assert!(matches!(Identity::of_files(&first.stamps), Err(Error::Read { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_blob_is_known_by_its_name_wherever_the_cache_lies() {
        let cache = tempfile::tempdir().expect("a folder");
        let (blobs, snapshot) = (cache.path().join("a/blobs"), cache.path().join("a/snapshots/c"));
        std::fs::create_dir_all(&blobs).and_then(|()| std::fs::create_dir_all(&snapshot)).expect("folders");
        let name = "0123456789abcdef".repeat(4);
        std::fs::write(blobs.join(&name), "header and weights").expect("a blob");
        std::os::unix::fs::symlink(format!("../../blobs/{name}"), weights(&snapshot)).expect("a link");
        let before = text(&snapshot);
        assert!(before.contains(&name) && !before.contains("snapshots"), "{before}");
        std::fs::rename(cache.path().join("a"), cache.path().join("b")).expect("moved");
        assert_eq!(text(&cache.path().join("b/snapshots/c")), before);
    }

    #[test]
    fn a_long_file_is_known_by_its_end_and_by_places_between() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = weights(dir.path());
        let mut bytes = vec![0u8; 3 << 20];
        std::fs::write(&path, &bytes).expect("a file");
        let before = sample(&path).expect("readable");
        let last = bytes.len() - 1;
        for place in [last, (last - 65_535) / 2] {
            bytes[place] = 1;
            std::fs::write(&path, &bytes).expect("a file");
            assert_ne!(sample(&path).expect("readable"), before, "{place}");
            bytes[place] = 0;
        }
        std::fs::write(&path, &bytes[1..]).expect("a file");
        assert_ne!(sample(&path).expect("readable"), before);
    }

    #[test]
    fn what_is_built_in_is_hashed() {
        let demo = Checkpoint::open(crate::demo::source(), &[]).expect("part of the program");
        let Source::BuiltIn { files, .. } = demo.source else { panic!("it is elsewhere") };
        let weights = Source::built_in(files, "model.safetensors").expect("weights");
        assert!(Identity::of(&demo).expect("weights").text.ends_with(&blake3::hash(weights).to_string()));
    }
}
