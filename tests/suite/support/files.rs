//! The committed test data.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of committed test data.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A committed clip, by its file name.
#[track_caller]
pub(crate) fn clip(name: &str) -> PathBuf {
    let folders = ["clips/nasty", "clips/odd", "clips/real", "demo"].iter();
    let mut found = folders.map(|folder| fixtures().join(folder).join(name)).filter(|path| path.exists());
    let path = found.next().unwrap_or_else(|| panic!("no clip `{name}`"));
    assert_eq!(found.next(), None, "another clip has the name of `{}`", path.display());
    path
}

/// The same as an argument.
#[track_caller]
pub(crate) fn clip_arg(name: &str) -> String {
    clip(name).into_os_string().into_string().unwrap()
}

/// The golden data of the reference.
pub(crate) fn golden() -> PathBuf {
    fixtures().join("golden")
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
