//! One answer for each window of a clip, and what becomes of the rest at its end.

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, ends_with, refused};
use crate::support::{device, run};

/// 3.8 s.
const CLIP: &str = "clip1-h264.mp4";

/// The record of a run over one clip.
fn record(place: &Workplace, extra: &[&str]) -> Value {
    let run = place.batch(&[&["clip.mp4", "-o", "out.jsonl", "--force"], &QUESTION[..], extra].concat());
    ends_with(&run, 0);
    let mut records = place.records("out.jsonl");
    assert_eq!(records.len(), 1);
    records.pop().unwrap()
}

fn windows(record: &Value) -> Vec<(f64, f64)> {
    let window = |window: &Value| (window["start_secs"].as_f64().unwrap(), window["end_secs"].as_f64().unwrap());
    record["windows"].as_array().unwrap().iter().map(window).collect()
}

fn place() -> Workplace {
    let place = Workplace::new();
    place.copy(CLIP, "clip.mp4");
    place
}

#[test]
fn each_window_is_asked_about_by_itself() {
    let place = place();
    let record = record(&place, &["--window", "1.5s", "--stride", "1s", "-n", "3"]);
    assert_eq!(windows(&record), [(0.0, 1.5), (1.0, 2.5), (2.0, 3.5)]);
    for window in record["windows"].as_array().unwrap() {
        let (start, end) = (window["start_secs"].as_f64().unwrap(), window["end_secs"].as_f64().unwrap());
        let times: Vec<f64> =
            window["frames"].as_array().unwrap().iter().map(|frame| frame["time_secs"].as_f64().unwrap()).collect();
        assert!(times.len() == 3 && times.iter().all(|time| (start - 0.01..end).contains(time)), "{start}: {times:?}");
        let part = ["--start", &start.to_string(), "--end", &end.to_string()];
        let args = ["ask", "clip.mp4", QUESTION[1], "--json", "--model", "demo", "--device", device(), "-n", "3"];
        let alone = run(&mut place.plain(&[&args[..], &["--dtype", "f32"], &part].concat())).json();
        assert_eq!(window["answers"][0]["token_ids"], alone["token_ids"]);
        assert_eq!(window["frames"], alone["frames"]);
    }
    assert_eq!(record["answers"], json!([]));
}

#[test]
fn the_rest_at_the_end_is_kept_or_said_to_be_left_out() {
    let place = place();
    let warnings = |record: &Value| -> Vec<Value> {
        record["windows"].as_array().unwrap().iter().map(|window| window["warnings"].clone()).collect()
    };
    let kept = record(&place, &["--window", "2s"]);
    assert_eq!((windows(&kept), warnings(&kept)), (vec![(0.0, 2.0), (2.0, 3.8)], vec![json!([]), json!([])]));
    let dropped = record(&place, &["--window", "1.5s"]);
    assert_eq!(windows(&dropped), [(0.0, 1.5), (1.5, 3.0)]);
    let said = json!(["the last 0.800 s are too short for a window and left out"]);
    assert_eq!(warnings(&dropped), [json!([]), said]);
    let longer = record(&place, &["--window", "1m"]);
    assert_eq!((windows(&longer), warnings(&longer)), (vec![(0.0, 3.8)], vec![json!([])]));
    let part = record(&place, &["--window", "1s", "--start", "1", "--end", "3"]);
    assert_eq!(windows(&part), [(1.0, 2.0), (2.0, 3.0)]);
}

#[test]
fn a_clip_without_a_window_is_skipped() {
    let place = place();
    let run =
        place.batch(&[&["clip.mp4", "-o", "out.jsonl", "--window", "1s", "--start", "3.2"], &QUESTION[..]].concat());
    refused(&run, 0, &["1 skipped"]);
    let [record] = &place.records("out.jsonl")[..] else { panic!("{run:?}") };
    assert_eq!((&record["status"], &record["windows"]), (&json!("skipped"), &json!([])));
    assert_eq!(record["reason"], "no window is left of it");
}

#[test]
fn windows_make_subtitles() {
    let place = place();
    let record = record(&place, &["--window", "2s", "--stride", "1.5s", "--sidecar", "txt,json,srt,vtt"]);
    assert_eq!(windows(&record), [(0.0, 2.0), (1.5, 3.5)]);
    let said: Vec<&str> = record["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["answers"][0]["answer"].as_str().unwrap())
        .collect();
    let [one, two] = said[..] else { panic!("{record}") };
    assert_eq!(
        place.read("clip.srt"),
        format!("1\n00:00:00,000 --> 00:00:01,500\n{one}\n\n2\n00:00:01,500 --> 00:00:03,500\n{two}\n\n")
    );
    assert_eq!(
        place.read("clip.vtt"),
        format!("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n{one}\n\n00:00:01.500 --> 00:00:03.500\n{two}\n\n")
    );
    assert_eq!(
        place.read("clip.txt"),
        format!("[00:00:00.000 --> 00:00:02.000] {one}\n[00:00:01.500 --> 00:00:03.500] {two}\n")
    );
    assert_eq!(serde_json::from_str::<Value>(&place.read("clip.json")).unwrap(), record);
}

#[test]
fn pictures_and_moments_have_no_windows() {
    let place = place();
    std::fs::copy(crate::support::fixtures().join("pictures/l.jpg"), place.path("l.jpg")).unwrap();
    place.list("jobs.jsonl", &[json!({ "video": "l.jpg" }), json!({ "video": "clip.mp4", "at": 1 })]);
    let run = place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl", "--window", "1s"], &QUESTION[..]].concat());
    ends_with(&run, 3);
    assert!(run.stderr.contains("is a picture, which has no windows"), "{run:?}");
    assert!(run.stderr.contains("moments and windows exclude each other"), "{run:?}");
}
