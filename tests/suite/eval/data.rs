//! The harness's outputs, and data made of them, for the binary to read.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::{Run, fixtures, json as read_json, llava_video};

/// The harness's trees by their names.
pub(super) const TREES: [&str; 4] = ["2024-09", "2024-10", "2024-10-28", "head"];

/// A file of the harness's outputs.
pub(super) fn golden(name: &str) -> Value {
    read_json(&fixtures().join("eval").join(name))
}

/// Published files with invented rows.
pub(super) fn published(folder: &str) -> PathBuf {
    fixtures().join("eval/fixtures").join(folder)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What holds for a tree. A tree that is not named agrees with the last one before it that is, September with October.
pub(super) fn of<'v>(expected: &'v Value, tree: &str) -> &'v Value {
    let known = TREES.iter().rev().skip_while(|&&other| other != tree).copied();
    known.chain(["all", "2024-10"]).find_map(|name| expected.get(name)).unwrap_or(expected)
}

/// A folder whose files a test writes.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes rows as one file.
    pub(super) fn rows(&self, name: &str, rows: &[Value]) -> PathBuf {
        self.text(name, &json!(rows).to_string())
    }

    /// Writes outputs of the rows from 0 on, with their part where there is one.
    pub(super) fn outputs(&self, name: &str, part: Option<&str>, outputs: &[&str]) -> PathBuf {
        let line = |(row, output): (usize, &&str)| match part {
            None => json!({ "row": row, "output": output }).to_string(),
            Some(part) => json!({ "row": row, "output": output, "part": part }).to_string(),
        };
        self.text(name, &outputs.iter().enumerate().map(line).collect::<Vec<_>>().join("\n"))
    }

    pub(super) fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// `eval` with these arguments.
pub(super) fn eval(args: &[&str]) -> Run {
    llava_video(["eval"].iter().chain(args))
}

pub(super) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The lines of JSON on standard output.
#[track_caller]
pub(super) fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {run:?}"))).collect()
}

/// An object without some of its keys.
pub(super) fn without(value: &Value, keys: &[&str]) -> Value {
    let mut object: Map<String, Value> = value.as_object().unwrap().clone();
    keys.iter().for_each(|key| drop(object.shift_remove(*key)));
    Value::Object(object)
}
