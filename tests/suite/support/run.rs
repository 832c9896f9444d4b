//! Runs of the binary, and what they leave.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::device::device;
use super::files::tiny_checkpoint_arg;

/// The arguments of a question to the tiny checkpoint on the device under test. `inputs` are what is asked about and
/// the question; of a flag that `extra` gives again, the last value counts.
pub(crate) fn ask_args(inputs: &[&str], extra: &[&str]) -> Vec<String> {
    let model = tiny_checkpoint_arg();
    let rest = ["--model", &model, "--device", device()];
    ["ask"].iter().chain(inputs).chain(&rest).chain(extra).map(|&arg| arg.to_owned()).collect()
}

/// Asks with [`ask_args`], for a short answer unless `extra` says otherwise.
pub(crate) fn ask(inputs: &[&str], extra: &[&str]) -> Run {
    llava_video(ask_args(inputs, &[&["--max-new-tokens", "12"], extra].concat()))
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
    // How the GPU under test is to compute is a part of the test.
    let is_foreign = |name: &str| is_setting(name) && name != "LLAVA_VIDEO_GPU";
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_foreign)) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("HF_HOME", no_cache).env("HF_HUB_OFFLINE", "1");
    // What one test has left must not answer for another.
    command.env("LLAVA_VIDEO_CACHE_SIZE", "0");
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
