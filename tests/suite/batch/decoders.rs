//! Clips at which the process that decodes hangs or crashes: one record says so, and the others are answered. Here each
//! clip has a program of its own; `readers.rs` has the same of those that are forked.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::workplace::{QUESTION, Workplace, clip_name, ends_with, first_line, records, refused};
use crate::support::Run;
use crate::support::process::{PATIENCE, Running};

/// Runs a batch, or a worker, of which the first process that decodes does `what` instead, and none forks others.
fn first_decoder_does(what: &str, place: &Workplace, name: &str, args: &[&str], clips: usize) -> Run {
    let binary = Path::new(env!("CARGO_BIN_EXE_llava-video"));
    // Beside the binary, where a link to it can be made.
    let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
    let program = dir.path().join("llava-video");
    std::fs::hard_link(binary, &program).unwrap();
    let planned = place.command(name, args);
    let mut command = Command::new(&program);
    command.args(planned.get_args()).current_dir(place).stdin(Stdio::piped());
    for (variable, value) in planned.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let mut running = Running::start(&mut command);
    // So the system names the file of a running program that was removed, and this is what it starts to decode.
    std::fs::remove_file(&program).unwrap();
    let script = dir.path().join("llava-video (deleted)");
    let text = format!(
        "#!/bin/sh\n[ $# = 1 ] || exit 9\nmkdir \"$0.begun\" 2>/dev/null && {what}\nexec '{}' \"$@\"\n",
        binary.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for index in 0..clips {
        running.input().write_all(format!("{{\"video\": \"{}\"}}\n", clip_name(index)).as_bytes()).unwrap();
    }
    running.close_input();
    let run = running.end_within(PATIENCE);
    assert!(run.stderr.contains("from now on each clip starts a program of its own"), "{run:?}");
    run
}

/// The one record of a failure among those of `clips` clips.
#[track_caller]
fn one_failed(records: &[Value], clips: usize) -> Value {
    assert_eq!(records.len(), clips);
    let failed: Vec<&Value> = records.iter().filter(|record| record["status"] != "ok").collect();
    let [failed] = failed[..] else { panic!("{failed:?}") };
    failed["error"].clone()
}

#[test]
fn a_clip_that_hangs_is_given_up_and_tried_again() {
    let place = Workplace::with_clips(5);
    let args = [&["--input", "-", "-o", "out.jsonl", "--item-timeout", "4"], &QUESTION[..]].concat();
    let run = first_decoder_does("exec sleep 100", &place, "batch", &args, 5);
    ends_with(&run, 3);
    let error = one_failed(&place.records("out.jsonl"), 5);
    assert_eq!((&error["kind"], &error["retryable"]), (&"timeout".into(), &true.into()), "{error}");
    assert_eq!(error["message"], "gave up after 4 s");
    let lines: Vec<Value> = (0..5).map(|index| serde_json::json!({ "video": clip_name(index) })).collect();
    place.list("jobs.jsonl", &lines);
    let run = place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..]].concat());
    ends_with(&run, 0);
    assert_eq!(first_line(&run), "4 done, 1 failed, 1 to do");
}

#[test]
fn a_clip_at_which_the_decoder_crashes_fails_alone() {
    let place = Workplace::with_clips(5);
    let args = [&["--input", "-", "-o", "out.jsonl", "--concurrency", "2"], &QUESTION[..]].concat();
    let run = first_decoder_does("kill -SEGV $$", &place, "batch", &args, 5);
    ends_with(&run, 3);
    let error = one_failed(&place.records("out.jsonl"), 5);
    assert_eq!((&error["kind"], &error["retryable"]), (&"crash".into(), &false.into()), "{error}");
    assert!(error["message"].as_str().unwrap().contains("signal 11"), "{error}");
}

#[test]
fn a_worker_outlives_a_decoder_that_crashes() {
    let place = Workplace::with_clips(4);
    let run = first_decoder_does("kill -ABRT $$", &place, "worker", &[&["--ordered"], &QUESTION[..]].concat(), 4);
    ends_with(&run, 3);
    assert_eq!(one_failed(&records(&run.stdout), 4)["kind"], "crash");
}

/// An answer takes too long, not a clip.
#[test]
fn an_answer_that_does_not_end_is_given_up() {
    let place = Workplace::with_clips(2);
    let model = crate::support::CheckpointCopy::of(&crate::support::tiny_checkpoint());
    model.edit_json("generation_config.json", |config| config["eos_token_id"] = serde_json::json!([100_000]));
    let args = ["clips", "-o", "out.jsonl", "--max-new-tokens", "30000", "--item-timeout", "1"];
    let checkpoint = ["--model", model.path().to_str().unwrap()];
    let running = place.start(&[&args, &QUESTION[..], &checkpoint].concat());
    let run = running.end_within(Duration::from_secs(30));
    refused(&run, 3, &["gave up after 1 s"]);
    let records = place.records("out.jsonl");
    assert!(records.len() == 2 && records.iter().all(|record| record["error"]["kind"] == "timeout"), "{records:?}");
}
