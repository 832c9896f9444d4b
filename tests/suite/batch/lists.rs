//! Lists of inputs as JSON lines: what they may say, in our words and in OpenAI's, and mistakes in them.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, answers, ends_with, id, refused};
use crate::support::process::{PATIENCE, Running};

#[test]
fn a_line_says_what_differs_from_the_run() {
    let place = Workplace::with_clips(2);
    place.list(
        "jobs.jsonl",
        &[
            json!({ "video": "clips/000.mp4" }),
            json!({ "id": "two", "video": "clips/000.mp4", "questions": ["What color is it?", "Is it red?"] }),
            json!({ "id": "part", "video": "clips/001.mp4", "start": 1, "end": "0:03", "frames": 3 }),
            json!({ "id": "at", "video": "clips/001.mp4", "at": [0.5, "2s"], "meta": { "a": [1] } }),
            json!({ "id": "fps", "video": "clips/001.mp4", "fps": 1, "frames": 20 }),
            json!({ "id": "chosen", "video": "clips/001.mp4", "question": "Is it blue?", "choices": ["yes", "no"] }),
            json!({ "id": "url", "video": format!("file://{}", place.path("clips/000.mp4").display()) }),
        ],
    );
    let run = place.batch(&[&["--input", "jobs.jsonl", "--ordered", "-o", "out.jsonl"], &QUESTION[..]].concat());
    ends_with(&run, 0);
    let records = place.records("out.jsonl");
    let ids: Vec<String> = records.iter().map(id).collect();
    assert_eq!(ids, ["clips/000.mp4", "two", "part", "at", "fps", "chosen", "url"]);
    let times = |record: &Value| -> Vec<f64> {
        record["frames"].as_array().unwrap().iter().map(|frame| frame["time_secs"].as_f64().unwrap()).collect()
    };
    assert_eq!(records[0]["answers"][0]["question"], QUESTION[1]);
    let asked: Vec<_> = records[1]["answers"].as_array().unwrap().iter().map(|answer| &answer["question"]).collect();
    assert_eq!(asked, ["What color is it?", "Is it red?"]);
    let part = times(&records[2]);
    assert!(part.len() == 3 && part.iter().all(|time| (1.0..3.0).contains(time)), "{part:?}");
    let at = times(&records[3]);
    assert!(at.len() == 2 && (at[0] - 0.5).abs() < 0.1 && (at[1] - 2.0).abs() < 0.1, "{at:?}");
    assert_eq!(records[3]["meta"], json!({ "a": [1] }));
    assert!((6..=7).contains(&times(&records[4]).len()), "{}", records[4]);
    assert_eq!(records[5]["answers"][0]["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answers(&records[6]), answers(&records[0]));
}

#[test]
fn a_list_may_come_through_a_pipe() {
    let place = Workplace::with_clips(2);
    let mut command = place.command("batch", &[&["--input", "-", "-o", "out.jsonl"], &QUESTION[..]].concat());
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.input().write_all(b"{\"video\": \"clips/000.mp4\"}\r\n\n{\"video\": \"clips/001.mp4\"}").unwrap();
    running.close_input();
    ends_with(&running.end_within(PATIENCE), 0);
    assert_eq!(place.said("out.jsonl").len(), 2);
}

fn request(custom_id: &str, url: &str, text: &str) -> Value {
    let parts = json!([{ "type": "video_url", "video_url": { "url": url } }, { "type": "text", "text": text }]);
    let messages = json!([{ "role": "user", "content": parts }]);
    let body = json!({ "model": "any", "messages": messages, "max_tokens": 40, "temperature": 0 });
    json!({ "custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body })
}

#[test]
fn requests_in_openai_s_words_are_answered() {
    let place = Workplace::with_clips(1);
    let local = place.path("clips/000.mp4").display().to_string();
    let text = "What color is the object?";
    place.list("jobs.jsonl", &[request("a", &local, text), request("b", &format!("file://{local}"), text)]);
    place.list("own.jsonl", &[json!({ "id": "a", "video": local, "question": text, "max_new_tokens": 40 })]);
    ends_with(&place.batch(&["--input", "jobs.jsonl", "-o", "out.jsonl"]), 0);
    ends_with(&place.batch(&["--input", "own.jsonl", "-o", "own-out.jsonl"]), 0);
    let (out, own) = (place.said("out.jsonl"), place.said("own-out.jsonl"));
    assert_eq!(out["a"], own["a"], "the same input in other words, under the same id");
    assert_eq!(out["b"]["answers"], out["a"]["answers"]);
    place.list(
        "jobs.jsonl",
        &[request("a", "https://example.org/a.mp4", text), request("b", "data:video/mp4;base64,AA", text)],
    );
    let run = place.batch(&["--input", "jobs.jsonl", "-o", "out.jsonl", "--new-digest"]);
    refused(&run, 2, &["line 1: `https://example.org/a.mp4` is a URL; only local files are read", "line 2: "]);
}

#[test]
fn all_mistakes_of_a_list_are_told_at_once() {
    let place = Workplace::with_clips(1);
    place.write(
        "jobs.jsonl",
        b"{\"vidoe\": \"clips/000.mp4\"}\n\
          {\"id\": \"a\", \"video\": \"clips/000.mp4\"}\n\
          not json\n\
          {\"id\": \"a\", \"video\": \"clips/000.mp4\"}\n\
          {\"id\": \"b\", \"video\": \"clips/000.mp4\", \"start\": 3, \"end\": 2}\n\
          {\"id\": \"c\", \"video\": \"clips/\xff.mp4\"}\n",
    );
    let run = place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..]].concat());
    let parts = [
        "line 1: has an unknown key `vidoe`; did you mean `video`?",
        "line 1: has no `video`",
        "line 3: is not an object of JSON",
        "line 4: the id `a` is that of line 2 too",
        "line 5: the start at 3 s is not before the end at 2 s",
        "line 6: is not UTF-8 text",
        "the inputs have 6 mistakes",
    ];
    refused(&run, 2, &parts);
    assert!(!place.path("out.jsonl").exists());
    place.write("jobs.jsonl", "{\"x\": 1}\n".repeat(100));
    let run = place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..]].concat());
    refused(&run, 2, &["line 1: ", "the inputs have 200 mistakes"]);
    assert!(run.stderr.len() < 10_000, "{}", run.stderr.len());
    place.write("jobs.jsonl", "\n");
    let run = place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..]].concat());
    refused(&run, 0, &["0 done, 0 failed, 0 to do"]);
}

#[test]
fn a_check_looks_for_the_files_and_computes_nothing() {
    let place = Workplace::with_clips(2);
    let line = |name: &str| json!({ "video": format!("clips/{name}.mp4"), "questions": ["a?", "b?"] });
    place.list("jobs.jsonl", &[line("000"), line("none"), line("001")]);
    let go = |extra: &[&str]| place.batch(&[&["--check", "--model", "none"], extra].concat());
    let run = go(&["--input", "jobs.jsonl"]);
    refused(&run, 3, &["clips/none.mp4: `clips/none.mp4`: ", "3 inputs with 6 questions, 1 missing"]);
    refused(&go(&["clips", "-Q", "?", "-o", "out.jsonl"]), 0, &["2 inputs with 2 questions, 0 missing"]);
    assert!(!place.path("out.jsonl").exists());
    refused(&go(&["clips"]), 2, &["asks nothing"]);
    refused(&go(&["clips", "-Q", "?", "-o", "clips/000.mp4"]), 2, &["is an input"]);
}
