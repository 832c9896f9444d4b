//! `worker`: lines in, a record for each out, the model loaded once.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, clip_name, ends_with, id, records, refused, said};
use crate::support::Run;
use crate::support::process::{PATIENCE, Running};

fn start(place: &Workplace, args: &[&str]) -> Running {
    Running::start(place.command("worker", args).stdin(Stdio::piped()))
}

/// A worker that gets all lines at once.
fn answer(place: &Workplace, args: &[&str], lines: &str) -> Run {
    let mut running = start(place, args);
    running.input().write_all(lines.as_bytes()).unwrap();
    running.close_input();
    running.end_within(PATIENCE)
}

fn line(index: usize) -> String {
    format!("{}\n", json!({ "video": clip_name(index) }))
}

#[test]
fn a_record_comes_for_each_line_as_a_batch_writes_it() {
    let place = Workplace::with_clips(12);
    let lines: String = (0..12).map(line).collect();
    place.write("jobs.jsonl", &lines);
    let args = [&["--ordered", "--concurrency", "3"], &QUESTION[..]].concat();
    ends_with(&place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &args[..]].concat()), 0);
    let run = answer(&place, &args, &lines);
    ends_with(&run, 0);
    let said = |records: &[Value]| records.iter().map(said).collect::<Vec<_>>();
    let records = records(&run.stdout);
    assert_eq!(said(&records), said(&place.records("out.jsonl")));
    let keys = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&records[0]), keys(&place.records("out.jsonl")[0]));
}

#[test]
fn who_waits_for_a_record_gets_it() {
    let place = Workplace::with_clips(3);
    let mut running = start(&place, &QUESTION);
    for index in 0..3 {
        running.input().write_all(line(index).as_bytes()).unwrap();
        running.wait_for_stdout(|stdout| stdout.matches('\n').count() == index + 1);
    }
    // A last line without a newline is a line, too.
    running.input().write_all(line(0).trim_end().as_bytes()).unwrap();
    running.close_input();
    let run = running.end_within(PATIENCE);
    ends_with(&run, 0);
    let ids: Vec<String> = records(&run.stdout).iter().map(id).collect();
    assert_eq!(ids, [clip_name(0), clip_name(1), clip_name(2), clip_name(0)]);
}

#[test]
fn a_line_that_is_wrong_is_one_record_in_its_place() {
    let place = Workplace::with_clips(3);
    let wrong = ["not json\n", "{\"id\": \"x\", \"vidoe\": \"a.mp4\"}\n", "{\"id\": \"y\", \"video\": \"none.mp4\"}\n"];
    let lines = [line(0), wrong[0].into(), line(1), "\n".into(), wrong[1].into(), wrong[2].into(), line(2)].concat();
    let run = answer(&place, &[&["--ordered"], &QUESTION[..]].concat(), &lines);
    ends_with(&run, 3);
    let records = records(&run.stdout);
    let ids: Vec<String> = records.iter().map(id).collect();
    assert_eq!(ids, [&clip_name(0), "", &clip_name(1), "x", "y", &clip_name(2)]);
    let kinds: Vec<&Value> = records.iter().map(|record| &record["error"]["kind"]).collect();
    let none = &Value::Null;
    assert_eq!(kinds, [none, &json!("input"), none, &json!("input"), &json!("missing"), none]);
    assert!(records[3]["error"]["message"].as_str().unwrap().contains("did you mean `video`?"), "{}", records[3]);
    let unordered = answer(&place, &QUESTION, &lines);
    ends_with(&unordered, 3);
    assert_eq!(unordered.stdout.lines().count(), 6);
    // The lines need a question, of their own or of the run.
    let run = answer(&place, &[], &line(0));
    refused(&run, 3, &[]);
    assert!(run.stdout.contains("asks nothing"), "{run:?}");
}

#[test]
fn a_worker_without_work_ends() {
    let place = Workplace::with_clips(1);
    let run = answer(&place, &QUESTION, "");
    ends_with(&run, 0);
    assert_eq!(run.stdout, "");
    assert_eq!(answer(&place, &["--question", "-"], "").code, Some(2));
    assert_eq!(answer(&place, &["--shard", "0/2"], "").code, Some(2));
}

#[test]
fn signals_end_a_worker_with_their_codes() {
    let place = Workplace::with_clips(30);
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        // While it waits for a line, and while it works.
        for lines in [1, 30] {
            let mut running = start(&place, &QUESTION);
            running.input().write_all((0..lines).map(line).collect::<String>().as_bytes()).unwrap();
            running.wait_for_stdout(|stdout| stdout.contains('\n'));
            running.signal(signal);
            let run = running.end_within(Duration::from_secs(20));
            ends_with(&run, code);
            let records = records(&run.stdout);
            assert!((1..=lines).contains(&records.len()) && records.iter().all(|record| record["status"] == "ok"));
        }
    }
}

#[test]
fn windows_and_choices_are_a_worker_s_too() {
    let place = Workplace::with_clips(1);
    let run = answer(&place, &["-Q", "Is it red?", "--choices", "yes,no", "--window", "1s"], &line(0));
    ends_with(&run, 0);
    let records = records(&run.stdout);
    assert_eq!(records[0]["windows"].as_array().unwrap().len(), 2, "{records:?}");
    assert_eq!(records[0]["windows"][1]["answers"][0]["choices"][0]["text"], "yes");
}
