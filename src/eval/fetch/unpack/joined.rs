//! Pieces of a file, read as one.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Opens one piece at a time.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    left: std::slice::Iter<'a, PathBuf>,
    now: Option<File>,
}

impl<'a> Joined<'a> {
    pub(super) fn new(pieces: &'a [PathBuf]) -> Self {
        Self { left: pieces.iter(), now: None }
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.now.is_none() {
                match self.left.next() {
                    Some(path) => self.now = Some(File::open(path)?),
                    None => return Ok(0),
                }
            }
            let Some(file) = &mut self.now else { continue };
            match file.read(buffer)? {
                0 => self.now = None,
                count => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let pieces: Vec<PathBuf> = ["ab", "", "c", "def"]
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let path = dir.path().join(index.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let mut text = String::new();
        Joined::new(&pieces).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcdef");
    }
}
