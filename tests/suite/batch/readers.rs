//! The processes that one process forks to read the clips of a batch: whatever becomes of them, or of the one that
//! forks them, each input has its record, and no process is left.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, clip_name, ends_with, records};
use crate::support::family::{Relative, children, forked, nurseries, nursery};
use crate::support::process::{PATIENCE, Running, wait_for};

fn args() -> Vec<&'static str> {
    [&["clips", "-o", "out.jsonl"], &QUESTION[..]].concat()
}

/// What a run says that nothing disturbs.
fn undisturbed(place: &Workplace) -> Vec<Value> {
    let run = place.batch(&[&["clips", "-o", "whole.jsonl"], &QUESTION[..]].concat());
    ends_with(&run, 0);
    assert!(!run.stderr.contains("warning"), "{run:?}");
    place.said("whole.jsonl").into_values().collect()
}

/// Stops a reader of a run in the middle of its clip, and returns it.
fn stop_a_reader(running: &mut Running) -> Relative {
    loop {
        assert!(!running.has_ended(), "no reader was met in the middle of a clip");
        let Some(reader) = forked(running.id()).pop() else { continue };
        reader.signal(libc::SIGSTOP);
        // One that has said everything is ended by its parent.
        std::thread::sleep(Duration::from_millis(200));
        if Relative::find(reader.id).is_some_and(|reader| reader.state == 'T') {
            return reader;
        }
    }
}

/// The one record that is no answer, after a run over `clips` clips.
#[track_caller]
fn one_failed(place: &Workplace, clips: usize) -> Value {
    let records = place.records("out.jsonl");
    assert_eq!(records.len(), clips);
    let failed: Vec<&Value> = records.iter().filter(|record| record["status"] != "ok").collect();
    let [failed] = failed[..] else { panic!("{failed:?}") };
    failed["error"].clone()
}

#[test]
fn a_reader_that_crashes_costs_one_clip() {
    for (signal, part) in [(libc::SIGILL, "crashed with signal 4"), (libc::SIGKILL, "signal 9")] {
        let place = Workplace::with_clips(60);
        let mut running = place.start(&args());
        let reader = stop_a_reader(&mut running);
        reader.signal(signal);
        reader.signal(libc::SIGCONT);
        let run = running.end_within(PATIENCE);
        ends_with(&run, 3);
        let error = one_failed(&place, 60);
        assert_eq!((&error["kind"], &error["retryable"]), (&json!("crash"), &json!(false)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        assert!(!run.stderr.contains("warning"), "{run:?}");
    }
}

#[test]
fn a_reader_that_hangs_costs_one_clip() {
    let place = Workplace::with_clips(60);
    let mut running = place.start(&[&args()[..], &["--item-timeout", "4"]].concat());
    let reader = stop_a_reader(&mut running);
    ends_with(&running.end_within(PATIENCE), 3);
    let error = one_failed(&place, 60);
    assert_eq!((&error["kind"], &error["retryable"]), (&json!("timeout"), &json!(true)), "{error}");
    assert!(Relative::has_ended(reader.id));
}

#[test]
fn the_process_that_forks_readers_may_be_killed() {
    let place = Workplace::with_clips(80);
    let expected = undisturbed(&place);
    let running = place.start(&args());
    for kills in 1..=2 {
        wait_for("records", PATIENCE, || place.line_count("out.jsonl") >= 10 * kills);
        nursery(running.id()).signal(libc::SIGKILL);
    }
    let run = running.end_within(PATIENCE);
    ends_with(&run, 0);
    assert_eq!(place.said("out.jsonl").into_values().collect::<Vec<_>>(), expected);
    let warnings: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    let [first, second] = warnings[..] else { panic!("{run:?}") };
    assert!(first.contains("ended by signal 9") && first.ends_with("it is started again"), "{first}");
    assert!(second.ends_with("each clip starts a program of its own, which takes longer"), "{second}");
}

/// Gives a worker lines from one number to another, and waits for their records.
fn work(running: &mut Running, from: usize, to: usize) {
    for number in from..to {
        let line = json!({ "id": number.to_string(), "video": clip_name(number % 4) });
        running.input().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    running.wait_for_stdout(|stdout| stdout.matches('\n').count() == to);
}

#[test]
fn three_hundred_clips_leave_no_process_and_no_open_file() {
    let place = Workplace::with_clips(4);
    let mut running = Running::start(place.command("worker", &QUESTION).stdin(Stdio::piped()));
    let id = running.id();
    let open_files = || fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let threads = || fs::read_dir(format!("/proc/{id}/task")).unwrap().count();
    work(&mut running, 0, 20);
    let before = (open_files(), threads());
    let nursery_before = nursery(id);
    work(&mut running, 20, 300);
    // All that is left of the clips ends with their last record, or in a moment.
    let left = || children(id).iter().map(|child| child.id).collect::<Vec<_>>();
    wait_for("the end of the readers", PATIENCE, || left() == [nursery_before.id]);
    wait_for("the end of their threads", PATIENCE, || threads() <= before.1);
    assert!(open_files() <= before.0, "{} were open, now {}", before.0, open_files());
    running.close_input();
    let run = running.end_within(PATIENCE);
    ends_with(&run, 0);
    assert!(records(&run.stdout).iter().all(|record| record["status"] == "ok"));
    wait_for("the end of the nursery", PATIENCE, || Relative::has_ended(nursery_before.id));
}

#[test]
fn a_batch_that_is_killed_leaves_no_process() {
    let place = Workplace::with_clips(60);
    let mut running = place.start(&args());
    // One in the middle of a clip, which cannot go on by itself, among them.
    let reader = stop_a_reader(&mut running);
    let family = children(running.id());
    assert!(family.len() >= 2 && family.iter().any(|child| child.id == reader.id), "{family:?}");
    running.kill();
    for child in family {
        wait_for("its end", Duration::from_secs(10), || Relative::has_ended(child.id));
    }
}

/// SIGTERM to all processes of a job, as schedulers send it, leaves the clips in flight their time.
#[test]
fn a_signal_to_all_processes_costs_no_clip() {
    let place = Workplace::with_clips(60);
    let running = place.start(&args());
    wait_for("records", PATIENCE, || place.line_count("out.jsonl") >= 5);
    let mut all = children(running.id());
    all.extend(Relative::find(running.id()));
    all.iter().for_each(|process| process.signal(libc::SIGTERM));
    let run = running.end_within(PATIENCE);
    ends_with(&run, 143);
    assert!(place.records("out.jsonl").iter().all(|record| record["status"] == "ok"), "{run:?}");
}

/// An upgrade in the middle of a run: the program that reads clips is loaded.
#[test]
fn a_program_that_is_replaced_reads_on() {
    let place = Workplace::with_clips(4);
    let binary = Path::new(env!("CARGO_BIN_EXE_llava-video"));
    // Beside the binary, where a link to it can be made.
    let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
    let program = dir.path().join("llava-video");
    fs::hard_link(binary, &program).unwrap();
    let planned = place.command("worker", &QUESTION);
    let mut command = Command::new(&program);
    command.args(planned.get_args()).current_dir(&place).stdin(Stdio::piped());
    for (variable, value) in planned.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let mut running = Running::start(&mut command);
    work(&mut running, 0, 4);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
    work(&mut running, 4, 40);
    running.close_input();
    let run = running.end_within(PATIENCE);
    ends_with(&run, 0);
    assert!(records(&run.stdout).iter().all(|record| record["status"] == "ok"));
    assert!(!run.stderr.contains("warning"), "{run:?}");
}

/// Waiting for it would be of no use to who asks about one clip.
#[test]
fn one_clip_is_read_without_a_process_that_forks() {
    let place = Workplace::with_clips(1);
    let mut running = Running::start(place.command("ask", &[&clip_name(0), QUESTION[1]]).stdin(Stdio::null()));
    let started = Instant::now();
    while !running.has_ended() {
        assert!(nurseries(running.id()).is_empty());
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    ends_with(&running.end_within(PATIENCE), 0);
}
