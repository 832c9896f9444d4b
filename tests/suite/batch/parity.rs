//! A batch answers as `ask` does, with the same ids, and so do several clips that are answered together.

use serde_json::{Value, json};

use super::workplace::{QUESTIONS, Workplace, answers, ends_with, id, statuses};
use crate::support::{device, fixtures, run, tiny_checkpoint_arg};

/// The ids of `ask` about one clip, a list for each question.
fn asked(place: &Workplace, clip: &str, args: &[&str]) -> Vec<Value> {
    let same = ["--json", "--model", "demo", "--device", device(), "--dtype", "f32"];
    let run = run(&mut place.plain(&[&["ask", clip], &same[..], args].concat()));
    let lines = run.stdout_of_success().lines();
    lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
}

#[test]
fn ids_are_those_of_ask() {
    let place = Workplace::with_clips(4);
    place.copy("clip2-vp9.webm", "clips/004.webm");
    for extra in [
        &["-n", "4"][..],
        &["-n", "16", "--time-instruction", "newline"],
        &["--fps", "1", "--system", "Be brief.", "-n", "8"],
        &["-n", "3", "--choices", "yes,no,a red circle"],
        &["-n", "4", "--temperature", "0.7", "--seed", "5", "--top-p", "0.9"],
        &["--at", "0.5,1"],
    ] {
        let args = [&["--model", "demo"], &QUESTIONS[..], extra].concat();
        let mut batch =
            place.plain(&["batch", "clips", "-o", "out.jsonl", "--force", "--device", device(), "--dtype", "f32"]);
        ends_with(&run(batch.args(&args)), 0);
        for record in place.records("out.jsonl") {
            let alone = asked(&place, &id(&record), &[&QUESTIONS[..], extra].concat());
            let together = record["answers"].as_array().unwrap();
            assert_eq!((together.len(), alone.len()), (3, 3));
            for (together, alone) in together.iter().zip(&alone) {
                for key in [
                    "question",
                    "token_ids",
                    "answer",
                    "stop_reason",
                    "prompt_tokens",
                    "visual_tokens",
                    "choices",
                    "seed",
                ] {
                    assert_eq!(together[key], alone[key], "{key} of {} with {extra:?}", id(&record));
                }
                assert_eq!((&record["frames"], &record["video"]), (&alone["frames"], &alone["video"]), "{extra:?}");
            }
        }
    }
}

#[test]
fn pictures_are_asked_about_too() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (index, name) in ["l.jpg", "la.png", "rgba.webp"].into_iter().enumerate() {
        std::fs::copy(fixtures().join("pictures").join(name), place.path(name)).unwrap();
        let numbered = format!("folder/{index}.png");
        std::fs::copy(fixtures().join("pictures/la.png"), place.path(&numbered)).unwrap();
    }
    let names = ["l.jpg", "la.png", "rgba.webp", "folder"];
    place.list("jobs.jsonl", &names.map(|name| json!({ "video": name })));
    // The run's number of frames does not concern the pictures among its clips.
    let together = ["--input", "jobs.jsonl", "-o", "out.jsonl", "--concurrency", "2"];
    ends_with(&place.batch(&[&together[..], &QUESTIONS].concat()), 0);
    for record in place.records("out.jsonl") {
        let frames: &[&str] = if record["id"] == "folder" { &["-n", "2"] } else { &[] };
        let alone = asked(&place, &id(&record), &[&QUESTIONS, frames].concat());
        let ids = |answers: &[Value]| answers.iter().map(|answer| answer["token_ids"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(record["answers"].as_array().unwrap()), ids(&alone), "{record}");
        let is_picture = record["id"] != "folder";
        assert_eq!((record["video"].is_null(), record["pictures"] != json!([])), (is_picture, is_picture), "{record}");
    }
}

#[test]
fn answers_that_are_decoded_together_are_those_of_one_by_one() {
    let place = Workplace::with_clips(10);
    let tiny = tiny_checkpoint_arg();
    // The second answers at length, and to different lengths.
    for (model, extra) in
        [("demo", &["-n", "4"][..]), (&tiny, &["--max-new-tokens", "40", "--repetition-penalty", "1.2"])]
    {
        let mut said = Vec::new();
        for (output, concurrency) in [("1.jsonl", "1"), ("4.jsonl", "4"), ("7.jsonl", "7")] {
            let args =
                [&["clips", "-o", output, "--force", "--concurrency", concurrency], &QUESTIONS[..], extra].concat();
            ends_with(&place.batch(&[&args[..], &["--model", model]].concat()), 0);
            said.push(place.said(output));
        }
        assert_eq!(said[0], said[1]);
        assert_eq!(said[0], said[2]);
        assert!(said[0].values().all(|record| record["answers"].as_array().unwrap().len() == 3));
    }
}

#[test]
fn lines_of_all_sorts_are_answered_together_as_alone() {
    let place = Workplace::with_clips(4);
    let lines = [
        json!({ "id": "a", "video": "clips/000.mp4", "question": "What is it?", "frames": 1 }),
        json!({ "id": "b", "video": "clips/001.mp4", "questions": ["One?", "Two?", "Three?"], "choices": ["x", "y"] }),
        json!({ "id": "c", "video": "clips/002.mp4", "questions": ["What?", "Why?"], "max_new_tokens": 1 }),
        json!({ "id": "d", "video": "clips/003.mp4", "question": "Where?", "at": [1, 2, 3, 4, 5] }),
    ];
    place.list("all.jsonl", &lines);
    for output in ["1", "4"] {
        ends_with(&place.batch(&["--input", "all.jsonl", "-o", output, "--concurrency", output]), 0);
    }
    assert_eq!(place.said("1"), place.said("4"));
    let records = place.records("1");
    assert_eq!(statuses(&records).iter().filter(|status| **status == "truncated").count(), 1);
    for (line, index) in lines.iter().zip(0..) {
        let name = format!("{index}.jsonl");
        place.list(&name, std::slice::from_ref(line));
        let output = format!("{index}.out");
        ends_with(&place.batch(&["--input", &name, "-o", &output]), 0);
        let alone = &place.records(&output)[0];
        let together = records.iter().find(|record| record["id"] == alone["id"]).unwrap();
        assert_eq!(answers(alone), answers(together));
    }
}
