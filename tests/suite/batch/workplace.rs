//! A folder of clips, runs of the binary in it, and the records that they leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::Running;
use crate::support::{Run, clip, command, device, run};

/// Small clips of the demo model; it says something else about each.
pub(crate) const CLIPS: [&str; 4] = ["clip7-h264.mp4", "clip13-h264.mp4", "clip10-h264.mp4", "clip4-h264.mp4"];

/// Three questions, as arguments.
pub(crate) const QUESTIONS: [&str; 6] =
    ["-Q", "What do you see in this video?", "-Q", "What color is the object?", "-Q", "Does the object move right?"];

/// One question, as arguments.
pub(crate) const QUESTION: [&str; 2] = ["-Q", "What do you see in this video?"];

/// A folder; gone with the test.
pub(crate) struct Workplace(tempfile::TempDir);

impl Workplace {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With clips `clips/000.mp4`, `clips/001.mp4` and so on.
    pub(crate) fn with_clips(count: usize) -> Self {
        let place = Self::new();
        std::fs::create_dir(place.path("clips")).unwrap();
        (0..count).for_each(|index| place.copy(CLIPS[index % CLIPS.len()], &clip_name(index)));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Copies a committed clip.
    pub(crate) fn copy(&self, committed: &str, name: &str) {
        std::fs::copy(clip(committed), self.path(name)).unwrap();
    }

    /// Writes a list, a line each.
    pub(crate) fn list(&self, name: &str, lines: &[Value]) {
        self.write(name, lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }

    /// The program in this folder, with a command's name and what is the same in all tests; of a flag that `args` give
    /// again, the last value counts.
    pub(crate) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = self.plain(&[name, "--model", "demo", "--device", device(), "--dtype", "f32", "-n", "2"]);
        command.args(args);
        command
    }

    /// The program in this folder.
    pub(crate) fn plain(&self, args: &[&str]) -> Command {
        let mut command = command();
        command.current_dir(self.0.path()).args(args);
        command
    }

    /// A run of `batch` to its end.
    pub(crate) fn batch(&self, args: &[&str]) -> Run {
        run(&mut self.command("batch", args))
    }

    /// A run of `batch` whose end is not waited for.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command("batch", args))
    }

    /// A run of `batch merge`.
    pub(crate) fn merge(&self, args: &[&str]) -> Run {
        run(&mut self.plain(&[&["batch", "merge"], args].concat()))
    }

    /// How many whole lines a file has; none where it is not there.
    pub(crate) fn line_count(&self, name: &str) -> usize {
        std::fs::read(self.path(name)).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
    }

    /// All records of an output, in which nothing half may be.
    #[track_caller]
    pub(crate) fn records(&self, name: &str) -> Vec<Value> {
        records(&self.read(name))
    }

    /// The same of an output that a kill may have left with a torn record at its end.
    #[track_caller]
    pub(crate) fn records_but_torn(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        records(&text[..text.rfind('\n').map_or(0, |last| last + 1)])
    }

    /// What an output says of each id, of which each may be there once.
    #[track_caller]
    pub(crate) fn said(&self, name: &str) -> BTreeMap<String, Value> {
        let records = self.records(name);
        let said: BTreeMap<_, _> = records.iter().map(|record| (id(record), said(record))).collect();
        assert_eq!(said.len(), records.len(), "an id is in {name} twice");
        said
    }
}

impl AsRef<Path> for Workplace {
    fn as_ref(&self) -> &Path {
        self.0.path()
    }
}

/// The `index`-th clip of [`Workplace::with_clips`].
pub(crate) fn clip_name(index: usize) -> String {
    format!("clips/{index:03}.mp4")
}

/// Records of lines, each whole.
#[track_caller]
pub(crate) fn records(lines: &str) -> Vec<Value> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "a line is not whole: {lines}");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

/// What a record says that does not depend on time.
pub(crate) fn said(record: &Value) -> Value {
    let keys = ["id", "status", "error", "digest", "job", "frames", "video", "pictures", "warnings", "meta", "reason"];
    let mut said: Value = keys.into_iter().map(|key| (key.to_owned(), record[key].clone())).collect();
    said["answers"] = answers(record);
    let window = |window: &Value| json!([window["start_secs"], window["end_secs"], answers(window)]);
    said["windows"] = record["windows"].as_array().into_iter().flatten().map(window).collect();
    said
}

/// Questions and answers of a record or a window.
pub(crate) fn answers(holder: &Value) -> Value {
    let keys = ["question", "answer", "token_ids", "stop_reason", "choices", "prompt_tokens", "visual_tokens"];
    let said = |answer: &Value| -> Value { keys.into_iter().map(|key| (key, answer[key].clone())).collect() };
    holder["answers"].as_array().into_iter().flatten().map(said).collect()
}

/// The statuses of records, in order.
pub(crate) fn statuses(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["status"].as_str().unwrap()).collect()
}

/// The line of a run that says done, failed and to do.
#[track_caller]
pub(crate) fn first_line(run: &Run) -> &str {
    let mut notes = run.stderr.lines().filter_map(|line| line.strip_prefix("note: "));
    notes.find(|line| line.contains(" to do")).unwrap_or_else(|| panic!("{run:?}"))
}

/// Asserts that a run ended with this code, without a panic.
#[track_caller]
pub(crate) fn ends_with(run: &Run, code: i32) {
    assert_eq!(run.code, Some(code), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

/// Asserts that a run was refused with this code, by a message that holds all `parts`.
#[track_caller]
pub(crate) fn refused(run: &Run, code: i32, parts: &[&str]) {
    ends_with(run, code);
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is not in: {}", run.stderr);
    }
}
