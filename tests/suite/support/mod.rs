//! Golden data, checkpoints made from it, lossless clips, and runs of the binary.

pub(crate) mod control_group;
#[cfg(target_os = "linux")]
pub(crate) mod denied;
pub(crate) mod hub;
pub(crate) mod hub_home;
pub(crate) mod lossless;
pub(crate) mod mp4;
pub(crate) mod process;
pub(crate) mod remux;
pub(crate) mod shapes;
pub(crate) mod small_disk;
pub(crate) mod wide;
pub(crate) mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::ConfigOverride;
use llava_video::device::{DtypeRequest, Placement};
use serde_json::Value;

/// The tool that writes checkpoints of the published sizes, as a part of the tests: they need no example built before.
#[path = "../../../examples/generate-checkpoint.rs"]
#[expect(dead_code, unreachable_pub, reason = "its main is not called, and as an example it is a crate")]
pub(crate) mod generate_checkpoint;

/// The device under test as `--device` writes it: the CPU, or what `LLAVA_VIDEO_TEST_DEVICE` names.
pub(crate) fn device() -> &'static str {
    static DEVICE: LazyLock<String> =
        LazyLock::new(|| std::env::var("LLAVA_VIDEO_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned()));
    &DEVICE
}

/// The first of the devices under test, in one arithmetic.
pub(crate) fn placement(dtype: DtypeRequest) -> Placement {
    Placement::open_all(&device().parse().unwrap(), dtype).unwrap().remove(0)
}

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
        let original = golden().join("ckpt").join(self.str("ckpt"));
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

/// A run of the binary, without standard input, without a hub cache of the user's and without the hub.
pub(crate) fn llava_video<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Run {
    run(command().args(args))
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llava-video"));
    let no_cache = std::env::temp_dir().join("llava-video-no-such-hub-cache");
    // What the user of this machine has set would lead to other models, and out of the machine.
    let is_setting =
        |name: &str| ["HF_", "HUGGING", "TRANSFORMERS_", "LLAVA_VIDEO_"].iter().any(|p| name.starts_with(p));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_setting)) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("HF_HOME", no_cache).env("HF_HUB_OFFLINE", "1");
    command.env_remove("LLAVA_VIDEO_MODEL");
    command
}

pub(crate) fn run(command: &mut Command) -> Run {
    Run::of(command.output().unwrap())
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts success and returns stdout.
    #[track_caller]
    pub(crate) fn stdout_of_success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.stdout
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout_of_success()).unwrap()
    }

    /// Asserts a failure that says what went wrong in one `error:` line holding all `parts`, and nothing on stdout.
    #[track_caller]
    pub(crate) fn fails_with(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
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

/// The most memory a process has held, from its `/proc/PID/status`.
#[cfg(target_os = "linux")]
pub(crate) fn high_water_bytes(status: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?)
}
