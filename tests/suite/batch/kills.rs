//! Batches that are killed at any moment, and outputs that are cut anywhere: each input is answered exactly once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::workplace::{QUESTIONS, Workplace, ends_with};
use crate::support::Random;
use crate::support::process::PATIENCE;

/// The arguments of a run over all clips.
fn args(output: &str) -> Vec<&str> {
    [&["clips", "-o", output], &QUESTIONS[..]].concat()
}

/// What an uninterrupted run says.
fn uninterrupted(place: &Workplace, clips: usize) -> BTreeMap<String, Value> {
    ends_with(&place.batch(&args("whole.jsonl")), 0);
    let said = place.said("whole.jsonl");
    assert_eq!(said.len(), clips);
    assert!(said.values().all(|said| said["status"] == "ok" && said["answers"].as_array().unwrap().len() == 3));
    // Answers that are all the same would hide an exchange.
    assert!(said.values().map(|said| said["answers"].to_string()).collect::<std::collections::BTreeSet<_>>().len() > 3);
    said
}

/// Starts a run and kills it at a random moment: some time after it has written some records.
fn kill(place: &Workplace, random: &mut Random, most_records: usize) {
    let mut running = place.start(&args("out.jsonl"));
    let wanted = place.line_count("out.jsonl") + random.below(most_records + 1);
    // With none to wait for, it is killed anywhere between its start and its first records.
    let pause = Duration::from_micros(random.below(if wanted == 0 { 600_000 } else { 50_000 }) as u64);
    let started = Instant::now();
    while place.line_count("out.jsonl") < wanted && !running.has_ended() {
        assert!(started.elapsed() < PATIENCE, "no {wanted} records");
        std::thread::sleep(Duration::from_micros(500));
    }
    std::thread::sleep(pause);
    running.kill();
}

fn killed_and_resumed(clips: usize, kills: usize, most_records: usize) {
    let place = Workplace::with_clips(clips);
    let expected = uninterrupted(&place, clips);
    let mut random = Random::new(1);
    for _ in 0..kills {
        kill(&place, &mut random, most_records);
    }
    assert!(place.line_count("out.jsonl") < clips, "the kills came too late to show anything");
    ends_with(&place.batch(&args("out.jsonl")), 0);
    assert_eq!(place.said("out.jsonl"), expected);
}

/// Cuts the output at random bytes of its last three records, and resumes each time.
fn cut_and_resumed(clips: usize, cuts: usize) {
    let place = Workplace::with_clips(clips);
    let expected = uninterrupted(&place, clips);
    let whole = std::fs::read(place.path("whole.jsonl")).unwrap();
    let ends: Vec<usize> = (1..=whole.len()).filter(|&end| whole[end - 1] == b'\n').collect();
    let (from, mut random) = (ends[ends.len() - 4], Random::new(2));
    for cut in 0..cuts {
        // The last byte and the end of a record are the odd ones.
        let end = match cut {
            0 => whole.len() - 1,
            1 => ends[ends.len() - 2],
            _ => from + random.below(whole.len() - from),
        };
        place.write("out.jsonl", &whole[..end]);
        let run = place.batch(&args("out.jsonl"));
        ends_with(&run, 0);
        let is_torn = whole[end - 1] != b'\n';
        assert_eq!(run.stderr.contains("an unfinished record at its end is removed"), is_torn, "{run:?}");
        assert_eq!(place.said("out.jsonl"), expected, "cut at {end}");
    }
}

#[test]
fn a_batch_that_is_killed_again_and_again_answers_each_clip_once() {
    killed_and_resumed(60, 8, 4);
}

#[test]
#[ignore = "takes minutes: `make test-long`"]
fn a_long_batch_that_is_killed_thirty_times_answers_each_clip_once() {
    killed_and_resumed(300, 30, 6);
}

#[test]
fn an_output_that_is_cut_is_finished() {
    cut_and_resumed(8, 6);
}

#[test]
#[ignore = "takes a minute: `make test-long`"]
fn a_long_output_that_is_cut_at_twenty_bytes_is_finished() {
    cut_and_resumed(200, 20);
}
