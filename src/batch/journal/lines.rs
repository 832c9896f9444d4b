//! A file of records, line by line: where each begins, what it says of itself, and where the last whole one ends.

use std::io::{BufRead, Read};
use std::path::Path;

use serde_json::error::Category;

use super::error::Error;
use crate::batch::record::Head;

/// How each record begins, as it is written.
const BEGINNING: &[u8] = b"{\"id\":";

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// From the file's beginning.
    pub(crate) offset_bytes: u64,
    /// Its newline included.
    pub(crate) length_bytes: usize,
}

/// A record's line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) place: Place,
    pub(crate) head: Head,
}

/// Reads records one at a time.
pub(crate) struct Lines<'a, R> {
    from: R,
    path: &'a Path,
    line: Vec<u8>,
    count: usize,
    end_bytes: u64,
    torn_bytes: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    /// `path` is for messages.
    pub(crate) fn new(from: R, path: &'a Path) -> Self {
        Self { from, path, line: Vec::new(), count: 0, end_bytes: 0, torn_bytes: 0 }
    }

    /// The next record; `None` where the last whole one has ended.
    ///
    /// # Errors
    /// A file that cannot be read; a line that is no record and that no kill in the middle of a write can have left.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Error> {
        let failed = || Error::read(self.path);
        self.line.clear();
        // A foreign file may be one endless line.
        (&mut self.from).take(1).read_to_end(&mut self.line).map_err(failed())?;
        match self.line.first() {
            None => return Ok(None),
            Some(b'{' | 0) => {
                self.from.read_until(b'\n', &mut self.line).map_err(failed())?;
            }
            Some(b'\n') => {}
            Some(_) => return Err(self.no_record("it does not begin with `{`".to_owned())),
        }
        let is_last = self.from.fill_buf().map_err(failed())?.is_empty();
        let head = match serde_json::from_slice::<Head>(&self.line) {
            Ok(head) if self.line.ends_with(b"\n") => head,
            // All but its newline was written.
            Ok(_) => return Ok(self.torn()),
            Err(error) if is_last && error.classify() != Category::Data && self.is_begun() => return Ok(self.torn()),
            Err(error) => return Err(self.no_record(error.to_string())),
        };
        let place = Place { offset_bytes: self.end_bytes, length_bytes: self.line.len() };
        self.count += 1;
        self.end_bytes += self.line.len() as u64;
        Ok(Some(Line { number: self.count, place, head }))
    }

    /// Where the last whole record ends; of the whole file once there is no [`next`](Self::next).
    pub(crate) fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// The length of what follows the last whole record.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn torn(&mut self) -> Option<Line> {
        self.torn_bytes = self.line.len() as u64;
        None
    }

    /// Whether a writer of records can have left this last line: the beginning of one, where some file systems have
    /// zeros after a loss of power.
    fn is_begun(&self) -> bool {
        let zeros = |byte: &u8| matches!(byte, 0 | b'\n');
        let begun = &self.line[..self.line.len() - self.line.iter().rev().take_while(|byte| zeros(byte)).count()];
        let zeros_first = self.count > 0 && self.line.first() == Some(&0);
        zeros_first || begun.starts_with(BEGINNING) || BEGINNING.starts_with(begun)
    }

    fn no_record(&self, why: String) -> Error {
        Error::NotARecord { path: self.path.to_owned(), line: self.count + 1, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"id":"a","status":"ok","error":null,"digest":"d","job":"j","shard":"0/2","x":[{"y":1}]}"#;

    /// Ids, length of what is whole and of what is torn; or the line that is no record.
    fn read(bytes: &[u8]) -> Result<(Vec<String>, u64, u64), usize> {
        let mut lines = Lines::new(std::io::BufReader::with_capacity(7, bytes), Path::new("out.jsonl"));
        let mut ids = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(line)) => {
                    assert_eq!(line.number, ids.len() + 1);
                    let start = line.place.offset_bytes as usize;
                    assert!(bytes[start..start + line.place.length_bytes].ends_with(b"\n"));
                    ids.push(line.head.id);
                }
                Ok(None) => return Ok((ids, lines.end_bytes(), lines.torn_bytes())),
                Err(Error::NotARecord { line, .. }) => return Err(line),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_torn_last_line_is_told_from_a_foreign_one() {
        let whole = RECORD.len() as u64 + 1;
        let torn = |tail: &[u8]| {
            let bytes = [RECORD.as_bytes(), b"\n", tail].concat();
            assert_eq!(read(&bytes), Ok((vec!["a".to_owned()], whole, tail.len() as u64)), "{tail:?}");
        };
        (0..=RECORD.len()).for_each(|end| torn(&RECORD.as_bytes()[..end]));
        let zeros: [&[u8]; 6] = [b"\0", b"\0\0\0\n", b"{\"id\":\"b\0\0\0", b"{\"i\0", b"\n", b"\0\0\"x\":1}\n"];
        zeros.into_iter().for_each(torn);
        torn(b"{\"id\":\"b\",\"status\":\n");
        torn("{\"id\":\"\u{e4}".as_bytes().split_last().expect("not empty").1);
        let foreign: [&[u8]; 6] = [b"notes", b"notes\n", b"{\"x\":1}\n", b"{\"x\":1}", b"{\"id\":1}\n", b"{\"x"];
        for tail in foreign {
            let bytes = [RECORD.as_bytes(), b"\n", tail].concat();
            assert_eq!(read(&bytes), Err(2), "{:?}", String::from_utf8_lossy(tail));
        }
    }

    #[test]
    fn nothing_is_skipped_in_the_middle() {
        for middle in ["", "\0", "{\"id\":\"b\",\"sta", "{\"id\":\"b\"}", "notes"] {
            assert_eq!(read(format!("{RECORD}\n{middle}\n{RECORD}\n").as_bytes()), Err(2), "{middle:?}");
        }
        let spaced = RECORD.replace(':', ": ");
        assert_eq!(read(format!("{spaced}\n").as_bytes()).map(|(ids, ..)| ids.len()), Ok(1));
        assert_eq!(read(b"\0\0\0\x20ftypisom\0\n"), Err(1), "a clip");
        assert_eq!(read(b""), Ok((Vec::new(), 0, 0)));
    }
}
