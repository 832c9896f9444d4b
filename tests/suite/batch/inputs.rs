//! Inputs that arguments lead to, the order of records, and the summary of a run.

use serde_json::{Value, json};

use super::workplace::{CLIPS, QUESTION, QUESTIONS, Workplace, clip_name, ends_with, id};
#[cfg(target_os = "linux")]
use crate::support::sitting::Sitting;

#[test]
fn arguments_lead_to_clips() {
    let place = Workplace::with_clips(2);
    std::fs::create_dir_all(place.path("more/below")).unwrap();
    place.copy(CLIPS[0], "more/a.mp4");
    place.copy(CLIPS[1], "more/below/b.MKV");
    place.copy(CLIPS[2], "more/.hidden.mp4");
    place.copy(CLIPS[3], "other.bin");
    place.write("more/notes.txt", "notes");
    let ids = |args: &[&str]| -> Vec<String> {
        let run = place.batch(&[args, &["-o", "out.jsonl", "--ordered", "--force"], &QUESTION[..]].concat());
        ends_with(&run, 0);
        place.records("out.jsonl").iter().map(id).collect()
    };
    assert_eq!(ids(&["clips", "other.bin", "more"]), ["clips/000.mp4", "clips/001.mp4", "other.bin", "more/a.mp4"]);
    assert_eq!(ids(&["more", "-r"]), ["more/a.mp4", "more/below/b.MKV"]);
    assert_eq!(ids(&["**/*.mp4"]), ["clips/000.mp4", "clips/001.mp4", "more/a.mp4"]);
    assert_eq!(ids(&["clips/00[01].mp4", "clips", "./clips/001.mp4"]), ["clips/000.mp4", "clips/001.mp4"]);
}

#[test]
fn records_keep_the_order_of_the_inputs_where_that_is_wanted() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("clips")).unwrap();
    // Some take longer to look at than those after them.
    let names = ["clip1-h264.mp4", CLIPS[0], CLIPS[1]];
    (0..12).for_each(|index| place.copy(names[index % 3], &clip_name(index)));
    for (output, extra) in [("one.jsonl", &[][..]), ("three.jsonl", &["--concurrency", "3"])] {
        let run = place.batch(&[&["clips", "--ordered", "-o", output], &QUESTIONS[..], extra].concat());
        ends_with(&run, 0);
        let ids: Vec<String> = place.records(output).iter().map(id).collect();
        assert_eq!(ids, (0..12).map(clip_name).collect::<Vec<_>>());
    }
    assert_eq!(place.said("one.jsonl"), place.said("three.jsonl"));
}

#[test]
fn a_summary_counts_what_came_of_the_run() {
    let place = Workplace::with_clips(8);
    place.write("clips/002.mp4", "");
    std::fs::remove_file(place.path("clips/003.mp4")).unwrap();
    let lines: Vec<Value> = (0..6).map(|index| json!({ "video": clip_name(index) })).collect();
    let go = |lines: &[Value]| -> Value {
        place.list("jobs.jsonl", lines);
        let args = ["--input", "jobs.jsonl", "-o", "out.jsonl", "--summary", "summary.json", "--max-errors", "2"];
        let run = place.batch(&[&args, &QUESTION[..]].concat());
        ends_with(&run, 0);
        let line = run.stderr.lines().last().unwrap();
        assert!(line.starts_with("note: ") && line.contains(" clips/s, ") && line.contains("model busy "), "{run:?}");
        serde_json::from_str(&place.read("summary.json")).unwrap()
    };
    let first = go(&lines[..4]);
    let counts = |summary: &Value| -> Vec<u64> {
        let records = ["ok", "truncated", "skipped", "error"].map(|key| &summary["records"][key]);
        records.into_iter().chain([&summary["total"], &summary["done_before"]]).map(|n| n.as_u64().unwrap()).collect()
    };
    assert_eq!(counts(&first), [2, 0, 0, 2, 4, 0]);
    assert_eq!(first["errors"], json!({ "missing": 1, "video": 1 }));
    let tokens: u64 =
        place.records("out.jsonl").iter().filter_map(|r| r["answers"][0]["completion_tokens"].as_u64()).sum();
    assert!(tokens > 0 && first["completion_tokens"] == tokens, "{first}");
    assert_eq!(first["identical"]["answered"], 2);
    let rates = ["wall_secs", "busy_secs", "busy_share", "clips_per_sec", "tokens_per_sec"];
    for key in rates {
        assert!(first[key].as_f64().unwrap() > 0.0, "{key}: {first}");
    }
    assert!(first["busy_share"].as_f64().unwrap() <= 1.0);
    // Those done before are counted by themselves; of those that failed, the missing one runs again.
    let second = go(&lines);
    assert_eq!(counts(&second), [2, 0, 0, 1, 3, 2]);
    // The clips repeat after four, and so do their answers.
    place.copy(CLIPS[0], "clips/004.mp4");
    let third = go(&[
        &lines[..],
        &[json!({ "id": "again", "video": "clips/000.mp4" }), json!({ "video": "clips/004.mp4", "id": "more" })],
    ]
    .concat());
    assert_eq!((&third["identical"]["answered"], &third["identical"]["repeated"]), (&json!(2), &json!(2)));
    assert_eq!(third["identical"]["most_frequent_count"], 2);
    let keys: Vec<&String> = third.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 11, "{keys:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_how_far_a_run_is() {
    let place = Workplace::with_clips(12);
    place.write("clips/000.mp4", "");
    let mut command = place.command("batch", &[&["clips", "-o", "out.jsonl"], &QUESTION[..]].concat());
    let mut sitting = Sitting::start(&mut command, (24, 100), false);
    sitting.wait_for_screen(|screen| {
        let mut bars = screen.lines().filter(|line| line.starts_with("clips "));
        bars.any(|bar| bar.contains("/12 (1 failed) ") && bar.contains("/s, ") && bar.trim_end().ends_with(" left"))
    });
    assert_eq!(sitting.end().0, Some(3));
    sitting.wait_for_screen(|screen| screen.contains("12 inputs: 11 ok, 1 failed"));
    assert!(!sitting.screen().contains(" left"), "{}", sitting.screen());
}
