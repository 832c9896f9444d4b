//! Two runs over the same rows, and what one gains on the other.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::data::{Folder, arg, eval, golden, lines, list};

/// Results of a benchmark over eight rows about four videos, by `eval score`.
fn results(folder: &Folder, name: &str, benchmark: &str, outputs: &[&str], extra: &[&str]) -> PathBuf {
    let golden = golden(&format!("{benchmark}.json"));
    let doc = |row: usize| {
        let mut doc = golden["docs"][0].clone();
        for column in ["video", "video_name", "video_id", "videoID"] {
            if !doc[column].is_null() {
                doc[column] = json!(format!("v{}", row / 2));
            }
        }
        doc
    };
    let data = folder.rows("rows.json", &(0..8).map(doc).collect::<Vec<_>>());
    let predictions = folder.outputs("p.jsonl", None, outputs);
    let args = [&["score", benchmark, "--data", arg(&data), arg(&predictions)][..], extra].concat();
    let run = eval(&args);
    assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
    folder.text(name, &run.stdout)
}

#[test]
fn the_difference_is_paired_and_its_interval_clustered_by_video() {
    let folder = Folder::new();
    // The right answer is B. A has rows 0 to 3, B has 0 to 5.
    let a = results(&folder, "a.jsonl", "nextqa", &["B", "B", "B", "B", "A", "A", "A", "A"], &[]);
    let b = results(&folder, "b.jsonl", "nextqa", &["B", "B", "A", "B", "B", "B", "A", "A"], &["--json"]);
    let found = eval(&["compare", arg(&a), arg(&b), "--json"]).json();
    let number = |key: &str| found[key].as_f64().unwrap();
    let end = |key: &str| found["interval"][key].as_f64().unwrap();
    assert_eq!(
        (&found["benchmark"], &found["a"]["figure"], &found["b"]["figure"]),
        (&json!("nextqa"), &json!(50.0), &json!(62.5))
    );
    assert_eq!((number("gained"), number("lost"), number("same")), (2.0, 1.0, 5.0));
    assert_eq!((number("rows"), number("videos"), number("difference")), (8.0, 4.0, 12.5));
    // By hand: differences 0 0 | -1 0 | 1 1 | 0 0, less their mean 1/8, summed by video: -1/4, -5/4, 7/4, -1/4; the sum
    // of squares 19/4 over 8^2, times 4/3; Student's t of 3 degrees is 3.18245.
    let error = 100.0 * (19.0f64 / 4.0 / 64.0 * 4.0 / 3.0).sqrt();
    assert!((end("standard_error") - error).abs() < 1e-9, "{found}");
    assert!((end("low") - (12.5 - 3.182_446 * error)).abs() < 1e-3, "{found}");
    assert!((end("high") - (12.5 + 3.182_446 * error)).abs() < 1e-3, "{found}");
    assert_eq!((number("only_a"), number("only_b")), (0.0, 0.0));
    let text = eval(&["compare", arg(&a), arg(&b)]);
    let text = text.stdout_of_success();
    for part in [
        "nextqa, split card",
        "A   50.00  `",
        "B   62.50  `",
        "B - A  +12.50, 95 % interval",
        "over 8 rows about 4 videos",
    ] {
        assert!(text.contains(part), "`{part}`: {text}");
    }
    assert!(text.contains("B has more on 2 rows, A on 1, both the same on 5"), "{text}");
}

#[test]
fn rows_in_one_only_are_counted_and_differing_settings_named() {
    let folder = Folder::new();
    let a = results(&folder, "a.jsonl", "nextqa", &["B", "B", "B", "B", "A"], &["--partial"]);
    let b = results(&folder, "b.jsonl", "nextqa", &["B"; 8], &["--draw-seed", "3", "--harness", "head"]);
    let found = eval(&["compare", arg(&a), arg(&b), "--json"]).json();
    assert_eq!((&found["only_a"], &found["only_b"], &found["rows"]), (&json!(0), &json!(3), &json!(5)));
    assert_eq!((&found["a"]["not_scored"], &found["b"]["not_scored"]), (&json!(3), &json!(0)));
    assert_eq!(found["differing"], json!({ "harness": ["2024-09", "head"], "draw_seed": [null, 3] }));
    let run = eval(&["compare", arg(&a), arg(&b)]);
    assert!(run.stdout.contains("scored in A only: 0 rows; in B only: 3 rows"), "{run:?}");
    assert!(run.stdout.contains("harness: \"2024-09\" in A, \"head\" in B"), "{run:?}");
}

#[test]
fn what_cannot_be_paired_is_refused() {
    let folder = Folder::new();
    let nextqa = results(&folder, "nextqa.jsonl", "nextqa", &["B"; 8], &[]);
    let mlvu = results(&folder, "mlvu.jsonl", "mlvu", &["C"; 8], &[]);
    let today = results(&folder, "today.jsonl", "mlvu", &["C"; 8], &["--harness", "head"]);
    let refused = |a: &PathBuf, b: &PathBuf, parts: &[&str]| eval(&["compare", arg(a), arg(b)]).fails_with(parts);
    refused(&nextqa, &mlvu, &["cannot be compared: the benchmark is nextqa in one and mlvu in the other"]);
    refused(&mlvu, &today, &["the figure is a mean over rows in one and a mean over each task type in the other"]);
    // The same rows about other videos.
    let mut records = lines(&eval(&["compare", arg(&nextqa), arg(&nextqa), "--json"]));
    assert_eq!(records.remove(0)["difference"], 0.0);
    let text = std::fs::read_to_string(&nextqa).unwrap();
    let other = folder.text("other.jsonl", &text.replace("\"video\":\"v2\"", "\"video\":\"w2\""));
    refused(&nextqa, &other, &["row 4 is about `v2` in one run and about `w2` in the other"]);
    let none = results(&folder, "none.jsonl", "nextqa", &[], &[]);
    refused(&nextqa, &none, &["have no scored row in common"]);
    let text_file = folder.text("x.jsonl", "{\"a\": 1}\n");
    refused(&nextqa, &text_file, &["line 1, is no record of an evaluation", "hint: "]);
    refused(&nextqa, &folder.path("gone.jsonl"), &["cannot read the results from `"]);
    // Two runs in one file.
    let two = folder.text("two.jsonl", &(text.clone() + &text.replace("\"digest\":\"", "\"digest\":\"x")));
    refused(&nextqa, &two, &["holds records of 2 runs", "hint: name one with `--digest"]);
    let record: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let digest = record["digest"].as_str().unwrap();
    let found = eval(&["compare", arg(&nextqa), arg(&two), "--digest-b", digest, "--json"]).json();
    assert_eq!((&found["rows"], list(&found["warnings"]).len()), (&json!(8), 0));
}
