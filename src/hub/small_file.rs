//! Small files beside the checkpoints, such as references and tokens: read whole, but never without a bound.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Most bytes of a file that holds a commit or a token.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The bytes of a file that has at most `max_bytes`.
///
/// # Errors
/// A file that cannot be read, [`ErrorKind::FileTooLarge`] for a longer one.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// The text of a file that holds a commit or a token, without the white space around it.
///
/// # Errors
/// As [`read`], and a text that is not UTF-8.
pub(super) fn read_line(path: &Path) -> Result<String> {
    let text = String::from_utf8(read(path, MAX_LINE_BYTES)?);
    Ok(text.map_err(|error| Error::new(ErrorKind::InvalidData, error))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_read_beyond_its_bound() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("main");
        std::fs::write(&path, " abc\n").expect("a small file");
        assert_eq!(read_line(&path).expect("a line"), "abc");
        File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a hole");
        assert_eq!(read_line(&path).expect_err("a terabyte").kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(&dir.path().join("none"), 9).expect_err("none").kind(), ErrorKind::NotFound);
    }
}
