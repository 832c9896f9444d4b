//! `batch merge`: what it joins, what it names, and what it refuses.

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, ends_with, id, refused};

/// Two outputs of four clips, one of which both have, and one that failed in the first.
fn outputs() -> Workplace {
    let place = Workplace::with_clips(4);
    std::fs::remove_file(place.path("clips/003.mp4")).unwrap();
    let line = |index: usize| json!({ "video": format!("clips/{index:03}.mp4") });
    place.list("first", &[line(0), line(1), line(3)]);
    place.list("second", &[line(1), line(2)]);
    place.list("all", &[line(3), line(2), line(1), line(0)]);
    let go = |list: &str| place.batch(&[&["--input", list, "-o", &format!("{list}.jsonl")], &QUESTION[..]].concat());
    ends_with(&go("first"), 3);
    ends_with(&go("second"), 0);
    place
}

#[test]
fn each_input_is_joined_once_in_the_order_of_the_inputs() {
    let place = outputs();
    let run = place.merge(&["first.jsonl", "second.jsonl", "-o", "joined.jsonl"]);
    // A failed input is not done.
    refused(&run, 3, &["4 records, 1 of them failed, 1 in several outputs, 0 missing"]);
    assert_eq!(place.said("joined.jsonl").len(), 4);
    let run = place.merge(&["second.jsonl", "first.jsonl", "--input", "all", "-o", "ordered.jsonl"]);
    ends_with(&run, 3);
    let ids: Vec<String> = place.records("ordered.jsonl").iter().map(id).collect();
    assert_eq!(ids, ["clips/003.mp4", "clips/002.mp4", "clips/001.mp4", "clips/000.mp4"]);
    // Records are copied byte by byte.
    let lines = |name: &str| place.read(name).lines().map(str::to_owned).collect::<Vec<_>>();
    let (first, second) = (lines("first.jsonl"), lines("second.jsonl"));
    assert!(lines("ordered.jsonl").iter().all(|line| first.contains(line) || second.contains(line)));
    let run = place.merge(&["second.jsonl", "--input", "all", "-o", "part.jsonl"]);
    refused(&run, 3, &["missing: clips/000.mp4", "missing: clips/003.mp4", "2 missing"]);
    let run = place.merge(&["first.jsonl", "second.jsonl", "--input", "second", "-o", "less.jsonl"]);
    refused(&run, 3, &["not among the inputs: clips/000.mp4", "0 missing"]);
    ends_with(&place.merge(&["second.jsonl", "-o", "alone.jsonl"]), 0);
    assert_eq!(place.read("alone.jsonl"), place.read("second.jsonl"));
    // What was joined is an output as any other: a run goes on with it.
    place.copy("clip4-h264.mp4", "clips/003.mp4");
    ends_with(&place.batch(&[&["--input", "all", "-o", "joined.jsonl"], &QUESTION[..]].concat()), 0);
    assert_eq!(place.records("joined.jsonl").len(), 5);
}

#[test]
fn shards_that_were_joined_go_on_as_one_output() {
    let place = Workplace::with_clips(8);
    let go = |args: &[&str]| place.batch(&[&["clips"], &QUESTION[..], args].concat());
    ends_with(&go(&["-o", "0.jsonl", "--shard", "0/3"]), 0);
    ends_with(&go(&["-o", "2.jsonl", "--shard", "2/3"]), 0);
    refused(&place.merge(&["0.jsonl", "2.jsonl", "-o", "all.jsonl"]), 3, &["no output of 1 shard: 1/3"]);
    let (joined, count) = (place.read("all.jsonl"), place.line_count("all.jsonl"));
    assert!((1..8).contains(&count), "{joined}");
    refused(&go(&["-o", "0.jsonl"]), 1, &["was written with shard 0/3"]);
    let run = go(&["-o", "all.jsonl"]);
    refused(&run, 0, &[&format!("{count} done, 0 failed, {} to do", 8 - count)]);
    assert!(place.read("all.jsonl").starts_with(&joined));
    assert_eq!(place.said("all.jsonl").len(), 8);
    // Nobody misses the share that the last run did.
    ends_with(&place.merge(&["all.jsonl", "-o", "again.jsonl"]), 0);
    assert_eq!(place.read("again.jsonl"), place.read("all.jsonl"));
}

#[test]
fn what_cannot_be_joined_is_refused_and_nothing_is_written() {
    let place = outputs();
    let go = |args: &[&str]| place.merge(&[args, &["-o", "joined.jsonl"]].concat());
    place.write("notes", "Things to do\n");
    refused(&go(&["first.jsonl", "none.jsonl"]), 1, &["none.jsonl"]);
    refused(&go(&["first.jsonl", "notes"]), 1, &["line 1 of `notes` is not a record"]);
    refused(&go(&["first.jsonl", "./first.jsonl"]), 1, &["are one file"]);
    refused(&place.merge(&["first.jsonl", "-o", "first.jsonl"]), 1, &["cannot be joined into itself"]);
    let other = &[&["--input", "second", "-o", "third.jsonl", "-n", "3"], &QUESTION[..]].concat();
    ends_with(&place.batch(other), 0);
    let run = go(&["first.jsonl", "third.jsonl"]);
    refused(&run, 1, &["there are records of several runs", "--digest"]);
    let digest = place.records("third.jsonl")[0]["digest"].as_str().unwrap().to_owned();
    refused(&go(&["first.jsonl", "--digest", &digest]), 1, &["no record is of run", &digest]);
    assert!(!place.path("joined.jsonl").exists());
    let run = go(&["first.jsonl", "third.jsonl", "--digest", &digest]);
    refused(&run, 0, &["2 records", "3 of other runs left out"]);
    let before = place.read("joined.jsonl");
    refused(&go(&["second.jsonl"]), 1, &["`joined.jsonl` is there already", "--force"]);
    assert_eq!(place.read("joined.jsonl"), before);
    ends_with(&go(&["second.jsonl", "--force"]), 0);
    assert_ne!(place.read("joined.jsonl"), before);
    assert_eq!(place.merge(&["-o", "joined.jsonl"]).code, Some(2));
    assert_eq!(place.merge(&["first.jsonl"]).code, Some(2));
}

/// Writes a changed copy of an output's records.
fn changed(place: &Workplace, from: &str, to: &str, change: impl Fn(&mut Value)) {
    let mut records = place.records(from);
    records.iter_mut().for_each(change);
    place.list(to, &records);
}

#[test]
fn two_answers_about_one_input_are_refused() {
    let place = outputs();
    changed(&place, "second.jsonl", "changed.jsonl", |record| record["answers"][0]["answer"] = json!("a cat"));
    let run = place.merge(&["first.jsonl", "changed.jsonl", "-o", "joined.jsonl"]);
    refused(&run, 1, &["`clips/001.mp4` has different answers in `first.jsonl` and in `changed.jsonl`"]);
    changed(&place, "second.jsonl", "changed.jsonl", |record| record["job"] = json!("0123456789abcdef"));
    let run = place.merge(&["first.jsonl", "changed.jsonl", "-o", "joined.jsonl"]);
    refused(&run, 1, &["`clips/001.mp4` is one input in `first.jsonl` and another in `changed.jsonl`"]);
    let windows = |output| [&["--input", "second", "-o", output, "--window", "1s"], &QUESTION[..]].concat();
    ends_with(&place.batch(&windows("windows.jsonl")), 0);
    ends_with(&place.merge(&["windows.jsonl", "second.jsonl", "-o", "x.jsonl"]), 1);
    changed(&place, "windows.jsonl", "changed.jsonl", |record| {
        record["windows"][1]["answers"][0]["answer"] = json!("a cat");
    });
    let run = place.merge(&["windows.jsonl", "changed.jsonl", "-o", "joined.jsonl"]);
    refused(&run, 1, &["has different answers in"]);
    assert!(!place.path("joined.jsonl").exists());
}

#[test]
fn a_torn_record_is_left_out_and_said() {
    let place = outputs();
    let text = place.read("second.jsonl");
    place.write("torn.jsonl", &text[..text.len() - 10]);
    let run = place.merge(&["torn.jsonl", "--input", "second", "-o", "joined.jsonl"]);
    refused(&run, 3, &["`torn.jsonl`: the last record is unfinished and left out", "1 missing"]);
    assert_eq!(place.records("joined.jsonl").len(), 1);
}
