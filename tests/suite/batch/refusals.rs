//! What is refused before anything is computed, and outputs that another process has.

use std::os::unix::ffi::OsStrExt;

use super::workplace::{QUESTION, Workplace, ends_with, refused};
use crate::support::process::{PATIENCE, Running};
use crate::support::run;

#[test]
fn an_output_has_one_writer_and_a_dead_one_s_is_taken_over() {
    let place = Workplace::with_clips(30);
    let args = [&["clips", "-o", "out.jsonl"], &QUESTION[..]].concat();
    let first = place.start(&args);
    crate::support::process::wait_for("a record", PATIENCE, || place.line_count("out.jsonl") > 0);
    // However fast it is, it has not finished when the others come.
    first.signal(libc::SIGSTOP);
    std::os::unix::fs::symlink("out.jsonl", place.path("link.jsonl")).unwrap();
    for output in ["out.jsonl", "./out.jsonl", "link.jsonl"] {
        let run = place.batch(&[&["clips", "-o", output], &QUESTION[..]].concat());
        let holder = format!("is being written by process {}", first.id());
        refused(&run, 1, &[&holder, " since 20", "wait until it has finished, or stop it"]);
        refused(&place.batch(&[&["clips", "-o", output, "--force"], &QUESTION[..]].concat()), 1, &[&holder]);
    }
    refused(&place.merge(&["other.jsonl", "-o", "out.jsonl", "--force"]), 1, &["is being written by process"]);
    let (dead, holder) = (first.id(), place.read("out.jsonl.lock"));
    assert!(holder.contains(&format!("\"pid\":{dead}")), "{holder}");
    first.kill();
    assert!(place.path("out.jsonl.lock").exists(), "a killed process cannot remove it");
    let run = place.batch(&args);
    refused(&run, 0, &[&format!("the output was left by process {dead}, which has ended")]);
    assert!(!place.path("out.jsonl.lock").exists());
    assert_eq!(place.said("out.jsonl").len(), 30);
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let place = Workplace::with_clips(2);
    place.write("jobs.jsonl", "{\"video\": \"clips/000.mp4\"}\n");
    place.write("questions.txt", "What is it?\n");
    std::os::unix::fs::symlink("clips/001.mp4", place.path("link.jsonl")).unwrap();
    let clip = std::fs::read(place.path("clips/001.mp4")).unwrap();
    let go = |args: &[&str]| place.batch(args);
    for args in [
        &["clips", "-Q", "?", "--force", "-o", "clips/001.mp4"][..],
        &["clips", "-Q", "?", "--force", "-o", "./clips/../clips/001.mp4"],
        &["clips", "-Q", "?", "--force", "-o", "link.jsonl"],
        &["--input", "jobs.jsonl", "-Q", "?", "--force", "-o", "jobs.jsonl"],
        &["clips", "--questions", "questions.txt", "--force", "-o", "questions.txt"],
        &["clips", "-Q", "?", "-o", "out.jsonl", "--summary", "clips/001.mp4"],
        &["clips", "-Q", "?", "-o", "out.jsonl", "--summary", "out.jsonl"],
        &["clips", "-Q", "?", "-o", "out.jsonl", "--summary", "./out.jsonl"],
    ] {
        let run = go(args);
        refused(&run, 2, &["`"]);
        let is_said =
            ["is an input: ", "cannot be both output and summary"].iter().any(|part| run.stderr.contains(part));
        assert!(is_said, "{args:?}: {run:?}");
    }
    assert_eq!(std::fs::read(place.path("clips/001.mp4")).unwrap(), clip);
    assert_eq!(place.read("jobs.jsonl"), "{\"video\": \"clips/000.mp4\"}\n");
    assert!(!place.path("out.jsonl").exists());
}

#[test]
fn runs_without_what_they_need_are_refused() {
    let place = Workplace::with_clips(1);
    place.write("empty.txt", "\n");
    for (args, part) in [
        (&["-o", "out.jsonl", "-Q", "?"][..], "there are no inputs"),
        (&["clips", "-Q", "?"], "--output"),
        (&["clips", "-o", "out.jsonl"], "asks nothing"),
        (&["clips", "-o", "out.jsonl", "-Q", " "], "question"),
        (&["clips", "-o", "out.jsonl", "-Q", "-"], "standard input is for the inputs"),
        (&["clips", "-o", "out.jsonl", "--questions", "-"], "standard input is for the inputs"),
        (&["clips", "-o", "out.jsonl", "--questions", "empty.txt"], "empty.txt"),
        (&["none", "-o", "out.jsonl", "-Q", "?"], "none: no such file or directory"),
        (&["*.avi", "-o", "out.jsonl", "-Q", "?"], "*.avi: no video has such a path"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--max-errors", "5x"], "--max-errors"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--concurrency", "0"], "--concurrency"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--window", "0s"], "--window"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--stride", "1s"], "--window"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--window", "1s", "--at", "1"], "--at"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--overwrite"], "--sidecar"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--sidecar", "doc"], "expected txt, json, srt or vtt"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "-Q", "!", "--sidecar", "srt"], "takes one question"),
        (&["clips", "-o", "out.jsonl", "-Q", "?", "--start", "3", "--end", "2"], "--"),
    ] {
        let run = place.batch(args);
        refused(&run, 2, &[part]);
        assert!(!place.path("out.jsonl").exists(), "{args:?}");
    }
}

#[test]
fn a_model_that_is_not_there_is_refused_before_the_output_is_touched() {
    let place = Workplace::with_clips(1);
    let run = place.batch(&["clips", "-o", "out.jsonl", "-Q", "?", "--model", "none"]);
    assert!(matches!(run.code, Some(1 | 2)), "{run:?}");
    assert!(!place.path("out.jsonl").exists() && !place.path("out.jsonl.lock").exists());
    let run = place.batch(&["clips", "-o", "out.jsonl", "-Q", "?", "--memory-limit", "1MB"]);
    refused(&run, 1, &["memory"]);
    assert!(!place.path("out.jsonl").exists());
}

/// A record could not name it.
#[test]
fn a_path_that_is_no_text_is_refused_and_its_place_named() {
    let place = Workplace::with_clips(1);
    let name = std::ffi::OsStr::from_bytes(b"clips/\xff.mp4");
    std::fs::copy(place.path("clips/000.mp4"), place.as_ref().join(name)).unwrap();
    let mut alone = place.command("batch", &["-o", "out.jsonl", "-Q", "?"]);
    for run in [run(alone.arg(name)), place.batch(&["clips", "-o", "out.jsonl", "-Q", "?"])] {
        refused(&run, 2, &["the path is not UTF-8 text", "rename the file"]);
    }
    // A folder that has such a name is no part of the ids.
    let folder = place.as_ref().join(std::ffi::OsStr::from_bytes(b"\xfe"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(place.path("clips/000.mp4"), folder.join("a.mp4")).unwrap();
    let mut inside = place.command("batch", &["a.mp4", "-o", "out.jsonl", "-Q", "?", "--sidecar", "txt"]);
    let ran = Running::start(inside.current_dir(&folder)).end_within(PATIENCE);
    ends_with(&ran, 0);
    assert!(folder.join("out.jsonl").exists() && folder.join("a.txt").exists());
}
