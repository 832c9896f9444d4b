//! The committed test data.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of committed test data.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The golden data of the reference.
pub(crate) fn golden() -> PathBuf {
    fixtures().join("golden")
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
