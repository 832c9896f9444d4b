//! Checkpoints that a test may change.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;

use super::files::json;

/// A checkpoint that a test may change; gone with the test.
pub(crate) struct CheckpointCopy(tempfile::TempDir);

impl CheckpointCopy {
    pub(crate) fn of(original: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(original).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes the tensors; they are written back as one file, whatever they were before.
    pub(crate) fn edit_tensors(&self, edit: impl FnOnce(&mut HashMap<String, Tensor>)) {
        let mut tensors = HashMap::new();
        for entry in std::fs::read_dir(self.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".safetensors") {
                tensors.extend(candle_core::safetensors::load(&path, &Device::Cpu).unwrap());
            }
            if name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") {
                std::fs::remove_file(&path).unwrap();
            }
        }
        edit(&mut tensors);
        candle_core::safetensors::save(&tensors, self.path().join("model.safetensors")).unwrap();
    }

    /// Changes a JSON file of the checkpoint.
    pub(crate) fn edit_json(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.path().join(name);
        let mut value = json(&path);
        edit(&mut value);
        std::fs::write(&path, value.to_string()).unwrap();
    }
}
