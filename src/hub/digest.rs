//! The checksums that the hub and its cache go by: sha256 for large files, git's blob hash for the others.
//!
//! A file's checksum is also its entity tag and the name of its blob in the cache.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const BUFFER_BYTES: usize = 1 << 18;

/// What a file's bytes must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Digest {
    /// Of the bytes, for files that the hub keeps outside git (LFS, Xet); 64 hexadecimal digits.
    Sha256(String),
    /// Of `blob SIZE\0` and the bytes, as git names them; 40 hexadecimal digits.
    GitBlob(String),
}

impl Digest {
    /// Reads the hexadecimal digits; the number of them tells which kind it is.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match text.len() {
            64 if is_hex => Some(Self::Sha256(text.to_owned())),
            40 if is_hex => Some(Self::GitBlob(text.to_owned())),
            _ => None,
        }
    }

    /// Reads an entity tag: digits in quotes, with or without the mark of a weak tag.
    pub(super) fn parse_etag(text: &str) -> Option<Self> {
        Self::parse(text.trim().trim_start_matches("W/").trim_matches('"'))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitBlob(hex) => hex,
        }
    }

    /// Whether a file has this checksum.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn is_of(&self, path: &Path) -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        let mut hasher = self.hasher(file.metadata()?.len());
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish() == *self),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A hasher of this kind for a file of `size` bytes.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::GitBlob(_) => Hasher::GitBlob(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sha256(hex) => write!(f, "sha256 {hex}"),
            Self::GitBlob(hex) => write!(f, "git blob {hex}"),
        }
    }
}

/// Hashes a file's bytes as they come.
#[derive(Debug, Clone)]
pub(super) enum Hasher {
    Sha256(Sha256),
    GitBlob(Sha1),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitBlob(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Digest {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hex(&hasher.finalize())),
            Self::GitBlob(hasher) => Digest::GitBlob(hex(&hasher.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        // `printf 'hello\n' | git hash-object --stdin` and `printf 'hello\n' | sha256sum`.
        for expected in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let expected = Digest::parse(expected).expect("hexadecimal digits");
            let mut hasher = expected.hasher(6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), expected);
        }
    }

    #[test]
    fn only_whole_lower_case_digests_are_read() {
        let hex = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert!(Digest::parse_etag(&format!("\"{hex}\"")).is_some());
        assert!(Digest::parse_etag(&format!("W/\"{hex}\"")).is_some());
        for wrong in ["", "../x", &hex[1..], &hex.to_uppercase(), "\"abc\""] {
            assert!(Digest::parse_etag(wrong).is_none(), "{wrong}");
        }
    }
}
