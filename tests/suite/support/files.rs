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

/// The golden checkpoint in shards, untied: three layers, a patch grid of 9x9.
pub(crate) const SHARDED: &str = "a_9x9_untied_sharded_bf16";

/// The golden checkpoint in one file, tied: a patch grid of 7x7.
pub(crate) const SINGLE: &str = "b_7x7_tied_single_bf16";

/// A golden checkpoint in the original layout, by its name.
pub(crate) fn golden_checkpoint(name: &str) -> PathBuf {
    golden().join("ckpt").join(name)
}

/// The checkpoint for questions about anything but checkpoints.
pub(crate) fn tiny_checkpoint() -> PathBuf {
    golden_checkpoint(SHARDED)
}

/// The same as an argument.
pub(crate) fn tiny_checkpoint_arg() -> String {
    tiny_checkpoint().into_os_string().into_string().unwrap()
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
