//! The reference's golden cases, and how near to them a tensor is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::ConfigOverride;
use serde_json::Value;

use super::checkpoint::CheckpointCopy;
use super::files::{golden, golden_checkpoint, json};

/// One golden case: its facts and its tensors.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) facts: Value,
    pub(crate) tensors: HashMap<String, Tensor>,
}

impl Case {
    pub(crate) fn load(name: &str) -> Self {
        let dir = golden().join("cases").join(name);
        let tensors = candle_core::safetensors::load(dir.join("tensors.safetensors"), &Device::Cpu).unwrap();
        Self { name: name.to_owned(), facts: json(&dir.join("case.json")), tensors }
    }

    /// All cases of a kind; a case without a `kind` is a video case.
    pub(crate) fn all(kind: &str) -> Vec<Self> {
        let mut names: Vec<String> = std::fs::read_dir(golden().join("cases"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let cases: Vec<Self> = names.iter().map(|name| Self::load(name)).collect();
        let is_kind = |case: &Self| case.facts["kind"].as_str().unwrap_or("video") == kind;
        let found: Vec<Self> = cases.into_iter().filter(is_kind).collect();
        assert!(!found.is_empty(), "no {kind} case");
        found
    }

    pub(crate) fn str(&self, key: &str) -> &str {
        self.facts[key].as_str().unwrap()
    }

    pub(crate) fn ids(&self, key: &str) -> Vec<i64> {
        ids(&self.facts[key])
    }

    /// The checkpoint it was made with; a copy that holds `model.faster_token` where the case has one.
    pub(crate) fn checkpoint(&self) -> CheckpointDir {
        let original = golden_checkpoint(self.str("ckpt"));
        match self.tensors.get("faster_token") {
            None => CheckpointDir::Original(original),
            Some(token) => {
                let copy = CheckpointCopy::of(&original);
                copy.edit_tensors(|tensors| {
                    tensors.insert("model.faster_token".to_owned(), token.clone());
                });
                CheckpointDir::Copy(copy)
            }
        }
    }

    pub(crate) fn overrides(&self) -> Vec<ConfigOverride> {
        let overrides = self.facts["config_overrides"].as_object().into_iter().flatten();
        overrides.map(|(key, value)| ConfigOverride { key: key.clone(), value: value.clone() }).collect()
    }

    /// The frames as packed RGB, with their width and height.
    pub(crate) fn frames(&self) -> (Vec<Vec<u8>>, usize, usize) {
        rgb_frames(&self.tensors["frames"])
    }

    /// The picture as packed RGB, with its width and height.
    pub(crate) fn picture(&self) -> (Vec<u8>, usize, usize) {
        let (mut frames, width, height) = rgb_frames(&self.tensors["image"].unsqueeze(0).unwrap());
        (frames.remove(0), width, height)
    }
}

/// `[T, H, W, 3]` u8 -> packed frames, width, height.
pub(crate) fn rgb_frames(tensor: &Tensor) -> (Vec<Vec<u8>>, usize, usize) {
    let (count, height, width, _) = tensor.dims4().unwrap();
    let frame = |i: usize| tensor.get(i).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
    ((0..count).map(frame).collect(), width, height)
}

pub(crate) fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

/// Config overrides of a case as arguments.
pub(crate) fn set_flags(overrides: &Value) -> Vec<String> {
    let overrides = overrides.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    overrides.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={}", text(value))]).collect()
}

/// Where a case's checkpoint lies.
pub(crate) enum CheckpointDir {
    Original(PathBuf),
    Copy(CheckpointCopy),
}

impl CheckpointDir {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Original(path) => path,
            Self::Copy(copy) => copy.path(),
        }
    }
}

/// Asserts that two tensors agree within `tolerance`, and says by how much they do not.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, expected: &Tensor, tolerance: f32) {
    assert_eq!(got.dims(), expected.dims(), "{what}: shapes");
    let flat = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (got, expected) = (flat(got), flat(expected));
    let differences = got.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    // NaN compares false with everything, so it must not be let through by a maximum.
    assert!(differences.clone().all(f32::is_finite), "{what}: not all numbers");
    let (max, sum) = differences.fold((0f32, 0f32), |(max, sum), difference| (max.max(difference), sum + difference));
    let mean = sum / got.len() as f32;
    assert!(max <= tolerance, "{what}: differs by up to {max:.2e}, {mean:.2e} on average; {tolerance:.0e} is allowed");
}
