//! Signals and a full disk: what is written is whole, and a later run goes on with it.

use std::time::Duration;

use super::workplace::{QUESTION, Workplace, ends_with, refused};
use crate::support::process::{PATIENCE, Running, limit_file_size, wait_for};
use crate::support::{CheckpointCopy, run, tiny_checkpoint};

/// Runs again with the same arguments: everything is there once then.
#[track_caller]
fn completes(place: &Workplace, args: &[&str], clips: usize) {
    ends_with(&place.batch(args), 0);
    assert_eq!(place.said("out.jsonl").len(), clips);
    assert!(!place.path("out.jsonl.lock").exists());
}

#[test]
fn signals_end_a_run_with_their_codes_and_a_later_one_completes_it() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        for ordered in [&[][..], &["--ordered", "--concurrency", "2"]] {
            let place = Workplace::with_clips(20);
            let args = [&["clips", "-o", "out.jsonl", "--summary", "s.json"], &QUESTION[..], ordered].concat();
            let running = place.start(&args);
            wait_for("records", PATIENCE, || place.line_count("out.jsonl") >= 2);
            running.signal(signal);
            let run = running.end_within(Duration::from_secs(20));
            ends_with(&run, code);
            let written = place.said("out.jsonl").len();
            assert!((2..20).contains(&written), "{written}");
            assert!(!place.path("out.jsonl.lock").exists(), "it let go of the output");
            let summary: serde_json::Value = serde_json::from_str(&place.read("s.json")).unwrap();
            assert_eq!(summary["total"], written);
            completes(&place, &args, 20);
        }
    }
}

/// A model that never ends its answer by itself, and a run of it.
fn endless(place: &Workplace, tokens: &str, grace: &str) -> (CheckpointCopy, Running) {
    let model = CheckpointCopy::of(&tiny_checkpoint());
    model.edit_json("generation_config.json", |config| config["eos_token_id"] = serde_json::json!([100_000]));
    let args = ["clips", "-o", "out.jsonl", "--max-new-tokens", tokens, "--grace", grace];
    let checkpoint = ["--model", model.path().to_str().unwrap()];
    let running = place.start(&[&args, &QUESTION[..], &checkpoint].concat());
    (model, running)
}

#[test]
fn sigterm_lets_answers_that_have_begun_end() {
    let place = Workplace::with_clips(6);
    let (_model, running) = endless(&place, "10000", "60");
    wait_for("a record", PATIENCE, || place.line_count("out.jsonl") >= 1);
    // The clip that comes next was looked at meanwhile, and its answer takes seconds.
    std::thread::sleep(Duration::from_millis(100));
    let before = place.line_count("out.jsonl");
    running.signal(libc::SIGTERM);
    let run = running.end_within(PATIENCE);
    ends_with(&run, 143);
    assert_eq!(place.records("out.jsonl").len(), before + 1, "{run:?}");
}

#[test]
fn an_answer_that_does_not_end_in_its_time_of_grace_is_given_up() {
    let place = Workplace::with_clips(2);
    let (_model, running) = endless(&place, "30000", "0.5");
    wait_for("the lock", PATIENCE, || place.path("out.jsonl.lock").exists());
    std::thread::sleep(Duration::from_millis(700));
    running.signal(libc::SIGTERM);
    let run = running.end_within(Duration::from_secs(8));
    ends_with(&run, 143);
    assert_eq!(place.line_count("out.jsonl"), 0, "what a signal ended is no failure");
}

#[test]
fn starting_over_loses_nothing_before_there_is_something_new() {
    let place = Workplace::with_clips(2);
    ends_with(&place.batch(&[&["clips", "-o", "out.jsonl"], &QUESTION[..]].concat()), 0);
    let before = place.read("out.jsonl");
    let model = CheckpointCopy::of(&tiny_checkpoint());
    model.edit_json("generation_config.json", |config| config["eos_token_id"] = serde_json::json!([100_000]));
    let args =
        ["clips", "-o", "out.jsonl", "--force", "--max-new-tokens", "30000", "--model", model.path().to_str().unwrap()];
    let running = place.start(&[&args, &QUESTION[..]].concat());
    running.wait_for_stderr(|stderr| stderr.contains("2 to do"));
    running.signal(libc::SIGINT);
    ends_with(&running.end_within(Duration::from_secs(20)), 130);
    assert_eq!(place.read("out.jsonl"), before);
}

#[test]
fn a_full_disk_ends_a_run_with_whole_records() {
    let place = Workplace::with_clips(6);
    let args = [&["clips", "-o", "out.jsonl"], &QUESTION[..]].concat();
    ends_with(&place.batch(&[&["clips", "-o", "whole.jsonl"], &QUESTION[..]].concat()), 0);
    let whole = place.read("whole.jsonl");
    // In the middle of the third record, and about at the end of the second.
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
    for bytes in [ends[2] - 700, ends[1]] {
        let _ = std::fs::remove_file(place.path("out.jsonl"));
        let mut command = place.command("batch", &args);
        limit_file_size(&mut command, bytes as u64);
        let run = run(&mut command);
        refused(&run, 1, &["cannot write to `out.jsonl`", "each whole, and nothing half is left", "make room"]);
        let written = place.records("out.jsonl").len();
        assert!((1..=2).contains(&written), "{written}");
        assert!(run.stderr.contains(&format!("{written} record")), "{run:?}");
        completes(&place, &args, 6);
        assert_eq!(place.said("out.jsonl"), place.said("whole.jsonl"));
    }
}
