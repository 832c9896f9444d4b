//! People's own questions.

use serde_json::{Value, json};

use super::desk::{Desk, object};
use crate::batch::workplace::{ends_with, refused};
use crate::support::{clip, fixtures};

/// What the demo model is asked about committed clips, and what it answers.
fn known() -> Vec<Value> {
    let all: Vec<Value> =
        serde_json::from_slice(&std::fs::read(fixtures().join("demo/questions.json")).unwrap()).unwrap();
    let is_short = |asked: &&Value| ["color", "direction", "yesno"].contains(&asked["kind"].as_str().unwrap());
    all.into_iter().filter(|asked| is_short(&asked) && asked["time_instruction"].is_null()).take(20).collect()
}

#[test]
fn what_the_demo_model_knows_is_scored_as_right() {
    let (desk, known) = (Desk::new(), known());
    let mut lines = Vec::new();
    for asked in &known {
        let name = asked["clip"].as_str().unwrap();
        std::fs::copy(clip(name), desk.0.path(&format!("videos/{name}"))).unwrap();
        lines.push(json!({
            "video": name, "question": asked["question"], "answer": asked["answer"], "category": asked["kind"],
        }));
    }
    // The last one is wrong, so that the score is not what any answer would have.
    lines.push(json!({ "video": known[0]["clip"], "question": known[0]["question"], "answer": "an elephant" }));
    desk.0.list("items.jsonl", &lines);
    let run = desk.eval(&["--data", "items.jsonl", "-n", "32", "--json"]);
    ends_with(&run, 0);
    let found = object(&run);
    assert_eq!((&found["benchmark"], &found["rows"], &found["card"]), (&Value::Null, &21.into(), &Value::Null));
    let right = desk.records().values().filter(|record| record["eval"]["is_correct"] == true).count();
    assert!((18..=20).contains(&right), "{right}: {run:?}");
    assert!((found["score"].as_f64().unwrap() - 100.0 * right as f64 / 21.0).abs() < 1e-9);
    let groups = found["categories"].as_array().unwrap();
    assert!(groups.iter().any(|group| group["name"] == "color" && group["rows"].as_u64().unwrap() > 2), "{groups:?}");
    // What a video is about is what it is called, wherever the program is started.
    assert_eq!(desk.records()["own/20"]["eval"]["video"], known[0]["clip"]);
}

#[test]
fn parts_of_videos_and_letters() {
    let desk = Desk::new();
    desk.0.copy("clip4-h264.mp4", "videos/a.mp4");
    let options = json!(["left", "right", "up"]);
    desk.0.list(
        "items.jsonl",
        &[
            json!({ "video": "a.mp4", "question": "Where to?", "options": options, "answer": "right", "start": 1 }),
            json!({ "video": "a.mp4", "question": "Where to?", "options": options }),
        ],
    );
    ends_with(&desk.eval(&["--data", "items.jsonl", "--scoring", "logprob"]), 0);
    let records = desk.records();
    let first = &records["own/0"];
    assert_eq!(
        first["answers"][0]["question"],
        "Where to?\nA. left\nB. right\nC. up\nAnswer with the option's letter from the given choices directly."
    );
    assert!(first["frames"][0]["time_secs"].as_f64().unwrap() >= 1.0, "{first}");
    assert_eq!((&first["eval"]["gold"], &records["own/1"]["eval"]["is_correct"]), (&"B".into(), &Value::Null));
    desk.0.write("items.jsonl", "{\"video\": \"a.mp4\"}\n");
    refused(&desk.eval(&["--data", "items.jsonl"]), 1, &["line 1: `question` is not text"]);
}
