//! What dead processes have written: an item whose record is complete in its holder's output is done, marked or not.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::super::record::Head;
use super::name::{End, Key};

/// The outputs that were looked into.
pub(super) struct Outputs {
    digest: String,
    read: HashMap<PathBuf, Output>,
}

/// An output, up to where it was read.
#[derive(Default)]
struct Output {
    /// Where its last complete line ended.
    bytes: u64,
    records: HashMap<Key, End>,
}

impl Outputs {
    /// Of records under this digest.
    pub(super) fn new(digest: &str) -> Self {
        Self { digest: digest.to_owned(), read: HashMap::new() }
    }

    /// How an item ended by its last complete record in this output; `None` where it has none, and where the output
    /// cannot be read, as nobody could then count on what it holds.
    pub(super) fn find(&mut self, path: &Path, key: Key) -> Option<End> {
        let output = self.read.entry(path.to_owned()).or_default();
        match output.read_on(path, &self.digest) {
            Ok(()) => output.records.get(&key).copied(),
            Err(_) => {
                self.read.remove(path);
                None
            }
        }
    }
}

impl Output {
    fn read_on(&mut self, path: &Path, digest: &str) -> io::Result<()> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < self.bytes {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.bytes))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = lines.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Ok(());
            }
            self.bytes += bytes as u64;
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) if head.digest == digest => {
                    self.records.insert(Key::of(&head.id, &head.job), End::from(&head));
                }
                // Another run's, or not a record.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::batch::record::{Record, Run, Status};

    fn line(id: &str, digest: &str, status: Status) -> String {
        let record =
            Record { id: id.to_owned(), job: "j".to_owned(), status, failure: None, body: serde_json::Map::new() };
        record.line(&Run { digest: digest.to_owned(), shard: None })
    }

    #[test]
    fn only_complete_records_of_this_digest_count_and_the_last_of_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.jsonl");
        let mut outputs = Outputs::new("d");
        let mut find = |id: &str, job: &str| outputs.find(&path, Key::of(id, job)).map(|end| end.status);
        assert_eq!(find("a", "j"), None, "no file");
        let mut file = File::create(&path).expect("a file");
        let mut append = |text: &str| file.write_all(text.as_bytes()).expect("room");
        append(&line("a", "d", Status::Error));
        append(&line("b", "other", Status::Ok));
        append("{\"id\": \n");
        assert_eq!([find("a", "j"), find("b", "j"), find("a", "other")], [Some(Status::Error), None, None]);
        let last = line("a", "d", Status::Ok);
        let (begun, rest) = last.split_at(last.len() - 1);
        append(begun);
        assert_eq!(find("a", "j"), Some(Status::Error), "its newline is missing");
        append(rest);
        assert_eq!(find("a", "j"), Some(Status::Ok));
        std::fs::write(&path, line("c", "d", Status::Ok)).expect("begun anew");
        assert_eq!([find("a", "j"), find("c", "j")], [None, Some(Status::Ok)]);
    }
}
