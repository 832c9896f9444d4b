//! A listing as the cache keeps it: `trees/COMMIT.json`, in the form of Python's huggingface_hub (`_tree_cache.py`).
//!
//! A link tells a file's checksum by the name of the blob it leads to. A file system without links leaves the files
//! under their own names, and then this is where their checksums are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::remote::{MAX_LISTING_BYTES, Sibling};
use super::small_file;

const FORMAT_VERSION: u32 = 1;

/// All files of a commit, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tree {
    format_version: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    blob_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
}

impl Tree {
    /// What a listing tells; `None` unless it tells size and checksum of every file, since others take it for all there
    /// is.
    pub(super) fn of(siblings: &[Sibling]) -> Option<Self> {
        let entry = |sibling: &Sibling| {
            let lfs = sibling.lfs.as_ref();
            let entry = Entry {
                size: sibling.size.or(lfs.map(|lfs| lfs.size))?,
                blob_id: sibling.blob_id.clone()?,
                lfs_sha256: lfs.map(|lfs| lfs.sha256.clone()),
                lfs_size: lfs.map(|lfs| lfs.size),
            };
            Some((sibling.rfilename.clone(), entry))
        };
        let files = siblings.iter().map(entry).collect::<Option<_>>()?;
        Some(Self { format_version: FORMAT_VERSION, files })
    }

    /// Reads a kept one; `None` where there is none that can be used.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let tree: Self = serde_json::from_slice(&small_file::read(path, MAX_LISTING_BYTES).ok()?).ok()?;
        (tree.format_version == FORMAT_VERSION).then_some(tree)
    }

    /// Names, sizes in bytes and checksums.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, u64, Digest)> {
        self.files.iter().filter_map(|(name, entry)| {
            let digest = entry.lfs_sha256.as_ref().unwrap_or(&entry.blob_id);
            Some((name.as_str(), entry.lfs_size.unwrap_or(entry.size), Digest::parse(digest)?))
        })
    }

    /// A file's checksum.
    pub(super) fn digest(&self, name: &str) -> Option<Digest> {
        self.files().find(|(other, ..)| *other == name).map(|(_, _, digest)| digest)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As huggingface_hub 2.4.0 writes it.
    const PYTHON: &str = r#"{
 "format_version": 1,
 "files": {
  "config.json": {"size": 519, "blob_id": "ce013625030ba8dba906f756967f9e9ca394464a"},
  "model.safetensors": {"size": 12, "blob_id": "0000000000000000000000000000000000000000", "lfs_sha256":
   "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", "lfs_size": 1234, "xet_hash": "abc"}
 }
}"#;

    #[test]
    fn pythons_listings_are_read_and_ours_are_pythons() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("tree.json");
        fs::write(&path, PYTHON).expect("written");
        let tree = Tree::read(&path).expect("a listing");
        let sizes: Vec<(&str, u64)> = tree.files().map(|(name, size, _)| (name, size)).collect();
        assert_eq!(sizes, [("config.json", 519), ("model.safetensors", 1234)]);
        assert!(matches!(tree.digest("model.safetensors"), Some(Digest::Sha256(_))));
        assert!(matches!(tree.digest("config.json"), Some(Digest::GitBlob(_))));
        let ours = serde_json::to_value(&tree).expect("JSON");
        let keys: Vec<&str> =
            ours["files"]["config.json"].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["size", "blob_id"]);
        fs::write(&path, PYTHON.replacen('1', "2", 1)).expect("written");
        assert!(Tree::read(&path).is_none(), "another version");
    }
}
