//! Ctrl-C and SIGTERM end a run cleanly, with the codes that scripts expect, and keep what was answered so far.

use std::time::Duration;

use crate::support::process::{PATIENCE, Running};
use crate::support::{
    CheckpointCopy, Run, ask_args, clip_arg, command, generate_checkpoint, llava_video, tiny_checkpoint,
};

/// The longest time from a signal to the end of the process.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// A model that never ends its answer by itself.
pub(super) fn endless() -> CheckpointCopy {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("generation_config.json", |config| config["eos_token_id"] = serde_json::json!([100_000]));
    copy
}

/// A question to it; the answer of at most `max_new_tokens` is always the same.
fn question(model: &CheckpointCopy, max_new_tokens: usize, extra: &[&str]) -> Vec<String> {
    let max_new_tokens = max_new_tokens.to_string();
    let model = ["--model", model.path().to_str().unwrap(), "--repetition-penalty", "1.3"];
    let rest = ["--frames", "2", "--max-new-tokens", &max_new_tokens];
    ask_args(&[&clip_arg("plain_h264.mp4"), "Why?"], &[&model, &rest, extra].concat())
}

/// Asks for more than can be answered in time, waits until the answer has begun, and sends a signal.
fn interrupt(model: &CheckpointCopy, signal: libc::c_int, extra: &[&str]) -> Run {
    let running = Running::start(command().args(question(model, 30_000, extra)));
    match extra.contains(&"--json") {
        true => running.wait_for_stderr(|stderr| stderr.contains("first token after ")),
        false => running.wait_for_stdout(|stdout| !stdout.is_empty()),
    }
    running.signal(signal);
    running.end_within(STOPS_WITHIN)
}

/// Asserts that `text` is how the uninterrupted answer begins.
fn assert_prefix_of_the_answer(model: &CheckpointCopy, text: &str) {
    let mut max_new_tokens = 64;
    loop {
        let whole = llava_video(question(model, max_new_tokens, &[]));
        let whole = whole.stdout_of_success().trim_end_matches('\n');
        if whole.len() > text.len() {
            return assert!(whole.starts_with(text), "{text:?} is not how {whole:?} begins");
        }
        max_new_tokens *= 2;
        assert!(max_new_tokens < 30_000, "the answer was not interrupted: {} bytes", text.len());
    }
}

#[test]
fn ctrl_c_ends_with_130_and_keeps_what_was_said() {
    let model = endless();
    let run = interrupt(&model, libc::SIGINT, &[]);
    assert_eq!(run.code, Some(130), "{run:?}");
    let answer = run.stdout.strip_suffix('\n').expect("a newline ends the answer");
    // A character whose last bytes were still to come is shown as replaced.
    let answer = answer.trim_end_matches('\u{fffd}');
    assert!(!answer.is_empty(), "{run:?}");
    assert_prefix_of_the_answer(&model, answer);
}

#[test]
fn sigterm_ends_with_143_and_keeps_what_was_said() {
    let model = endless();
    let run = interrupt(&model, libc::SIGTERM, &[]);
    assert_eq!(run.code, Some(143), "{run:?}");
    assert!(run.stdout.len() > 1 && run.stdout.ends_with('\n'), "{run:?}");
}

#[test]
fn an_interrupted_record_says_so_and_holds_the_answer_so_far() {
    let model = endless();
    let run = interrupt(&model, libc::SIGINT, &["--json", "-v"]);
    assert_eq!(run.code, Some(130), "{run:?}");
    let record: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(record["stop_reason"], "interrupted");
    let ids = record["token_ids"].as_array().unwrap();
    assert!(!ids.is_empty(), "the first token was there before the signal");
    assert_eq!(record["completion_tokens"], ids.len());
    let whole = llava_video(question(&model, ids.len(), &["--json"])).json();
    assert_eq!((&whole["token_ids"], &whole["answer"]), (&record["token_ids"], &record["answer"]));
}

/// A model of real size, its weights a file of zeros that takes no disk space. The announcement is about CPUs.
#[test]
fn long_work_on_a_cpu_is_announced_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().to_str().unwrap();
    generate_checkpoint::generate(["7b", model, "--sparse"].map(str::to_owned)).unwrap();
    let extra = ["--model", model, "--device", "cpu", "--memory-limit", "64GB"];
    let running = Running::start(command().args(ask_args(&[&clip_arg("plain_h264.mp4"), "Why?"], &extra)));
    running.wait_for_stderr(|stderr| stderr.contains('\n'));
    running.signal(libc::SIGINT);
    let run = running.end_within(PATIENCE);
    assert_eq!(run.code, Some(130), "{run:?}");
    let line = run.stderr.lines().next().unwrap();
    assert!(
        line.starts_with("note: the answer will start after about ") && line.contains("; with `--frames "),
        "{run:?}"
    );
}
