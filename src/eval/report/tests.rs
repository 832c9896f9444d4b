//! Small files of results, and the pages that come of them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Report, Standing, gather, html, markdown as to_markdown};

/// Breaks out of an element, an attribute, a cell, a line of code, a line.
const HOSTILE: &str = "\"><script>alert(1)</script>|`x`\n# y\u{202e}'&amp;";

/// A record as a run writes it, with other values in place of its own.
fn record(row: usize, changes: &[(&str, Value)]) -> Value {
    let mut value = json!({
        "id": format!("videomme/{row}"), "status": "ok", "error": null, "digest": "d1", "job": "j", "model": "demo",
        "device": "cpu", "quantize": null,
        "eval": {
            "benchmark": "videomme", "harness": "2024-09", "split": "card", "protocol": "card", "scoring": "parse",
            "row": row, "rows": 6, "video": format!("v{}", row / 2),
            "groups": [{ "dimension": "duration", "name": (["short", "long"][row % 2]) }],
            "output": "A", "parsed": { "kind": "letter", "value": "A" }, "answer": "A", "gold": "A", "is_correct": true,
            "value": 1.0,
            "record": {
                "duration": "short", "category": "Knowledge", "sub_category": "Geography",
                "task_category": "OCR Problems", "pred_answer": "A", "answer": "A",
            },
            "settings": { "frames": 110, "config": { "pool": "bilinear" } },
        },
    });
    for (path, change) in changes {
        *value.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = change.clone();
    }
    value
}

fn wrong(row: usize) -> Value {
    record(
        row,
        &[("/eval/is_correct", json!(false)), ("/eval/value", json!(0.0)), ("/eval/record/pred_answer", json!("B"))],
    )
}

/// A folder with files of these records.
struct Files {
    dir: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    fn of(files: &[&[Value]]) -> Self {
        let (dir, mut paths) = (tempfile::tempdir().unwrap(), Vec::new());
        for (index, records) in files.iter().enumerate() {
            let mut text = String::new();
            records.iter().for_each(|record| writeln!(text, "{record}").unwrap());
            paths.push(dir.path().join(format!("{index}.jsonl")));
            std::fs::write(&paths[index], text).unwrap();
        }
        Self { dir, paths }
    }

    fn report(&self) -> Report {
        let mut report = gather(&self.paths, "2026-11-26", "llava-video 0").unwrap();
        // Folders have other names in each run.
        for file in &mut report.files {
            file.name = file.name.replace(&*self.dir.path().to_string_lossy(), "");
        }
        report
    }
}

/// Six rows of three videos: both of the first right, one of the second, none of the third.
fn six() -> Vec<Value> {
    vec![record(0, &[]), record(1, &[]), record(2, &[]), wrong(3), wrong(4), wrong(5)]
}

#[test]
fn figures_are_printed_with_interval_card_and_rows() {
    let report = Files::of(&[&six()]).report();
    // Means of videos 1, 1/2, 0; standard error sqrt((1/4 + 0 + 1/4) / 9 * 3 / 2), times 4.3027 of Student's t.
    let half = 4.302_652_7 * ((0.25f64 + 0.25) / 9.0 * 1.5).sqrt() * 100.0;
    assert_eq!(format!("{half:.1}"), "124.2");
    let page = html(&report);
    assert!(page.contains("<strong>50.0</strong>") && page.contains("± 124.2"));
    assert!(page.contains("63.2") && page.contains("\u{2212}13.2") && page.contains("level"));
    assert!(page.contains("Not in these files: 2,694 of the 2,700 published rows."));
    let text = to_markdown(&report);
    assert!(text.contains("| VideoMME (partial) | 50.0 ± 124.2 | 63.2 | \u{2212}13.2 | level | 6 |"), "{text}");
    assert!(text.contains("| long | 33.3 | "), "{text}");
    assert!(text.contains("The harness itself would print: videomme_percetion_score 50.0000."), "{text}");
    assert!(page.contains("config.") && text.contains("| config.pool | bilinear |"));
}

#[test]
fn the_same_input_is_the_same_bytes() {
    let files = Files::of(&[&six()]);
    let (first, again) = (files.report(), files.report());
    assert_eq!((html(&first), to_markdown(&first)), (html(&again), to_markdown(&again)));
}

#[test]
fn shards_are_one_run_however_they_are_cut() {
    let all = six();
    let whole = Files::of(&[&all]).report();
    let shards = Files::of(&[
        &[all[5].clone(), all[1].clone(), all[3].clone()],
        &[all[4].clone(), all[0].clone(), all[2].clone()],
    ])
    .report();
    assert_eq!(whole.runs, shards.runs);
    assert_eq!(shards.files.len(), 2);
}

#[test]
fn the_last_record_of_a_row_counts() {
    let report = Files::of(&[&six(), &[record(5, &[])]]).report();
    assert_eq!(report.runs.len(), 1);
    assert_eq!(report.runs[0].whole().unwrap().mean.round(), 67.0);
}

#[test]
fn runs_of_one_benchmark_stay_apart_and_are_compared() {
    let other = |row: usize| record(row, &[("/digest", json!("d2")), ("/eval/settings/frames", json!(64))]);
    let better: Vec<Value> = (0..6).map(other).collect();
    let report = Files::of(&[&[six(), better].concat()]).report();
    let titles: Vec<_> = report.runs.iter().map(super::Run::title).collect();
    assert_eq!(titles, ["VideoMME, run 1", "VideoMME, run 2"]);
    let [pair] = report.pairs.as_slice() else { panic!("{:?}", report.pairs) };
    assert!(pair.settings.contains(&("frames".to_owned(), "110".to_owned(), "64".to_owned())));
    assert!(pair.settings.iter().all(|(name, ..)| name != "model"));
    let found = pair.comparison.as_ref().unwrap();
    assert_eq!((found.gained, found.lost, found.same), (3, 0, 3));
    let words = "Over the 6 rows that both runs have, this one differs by +50.0";
    assert!(html(&report).contains(words) && to_markdown(&report).contains(words));
}

#[test]
fn no_foreign_text_is_markup() {
    let hostile = || json!(HOSTILE);
    let everywhere = [
        ("/digest", hostile()),
        ("/model", hostile()),
        ("/device", hostile()),
        ("/eval/video", hostile()),
        ("/eval/groups", json!([{ "dimension": HOSTILE, "name": HOSTILE }])),
        ("/eval/settings", json!({ HOSTILE: HOSTILE, "inner": { HOSTILE: [HOSTILE] } })),
    ];
    let error = json!({ "kind": "no-video", "message": HOSTILE, "retryable": false });
    let failed = [&everywhere[..], &[("/status", json!("error")), ("/error", error)]].concat();
    let judged = |row: usize| {
        let mut record = record(row, &everywhere);
        record["id"] = hostile();
        record["eval"]["benchmark"] = json!("activitynetqa");
        record["eval"]["verdicts"] = json!([{
            "side": HOSTILE, "verdict": { "Correctness": "yes", "score": 3 }, "model": HOSTILE, "at": HOSTILE,
        }]);
        record
    };
    let report = Files::of(&[&[record(0, &everywhere), record(1, &failed)], &[judged(0)]]).report();
    let page = html(&report);
    // What the page has of its own, it has without any record, too.
    for tag in ["<script", "<img", "<h1", "</title", "</style", "<svg"] {
        let of = |report: &Report| html(report).to_lowercase().matches(tag).count();
        assert_eq!(of(&report), of(&calm()), "{tag}");
    }
    assert!(page.matches("&lt;script&gt;").count() > 10 && !page.contains("<script") && !page.contains('\u{202e}'));
    assert!(page.contains("\\u{202e}"));
    let text = to_markdown(&report);
    assert_eq!(elements(&text), elements(&to_markdown(&calm())));
    assert!(!text.contains('\u{202e}'));
}

/// The same report with names that mean nothing.
fn calm() -> Report {
    let error = json!({ "kind": "no-video", "message": "x", "retryable": false });
    let x = || json!("x");
    let calmly = [
        ("/digest", x()),
        ("/model", x()),
        ("/device", x()),
        ("/eval/video", x()),
        ("/eval/groups", json!([{ "dimension": "x", "name": "x" }])),
        ("/eval/settings", json!({ "x": "x", "inner": { "x": ["x"] } })),
    ];
    let failed = [&calmly[..], &[("/status", json!("error")), ("/error", error)]].concat();
    let mut judged = record(0, &calmly);
    judged["id"] = x();
    judged["eval"]["benchmark"] = json!("activitynetqa");
    judged["eval"]["verdicts"] =
        json!([{ "side": "x", "verdict": { "Correctness": "yes", "score": 3 }, "model": "x", "at": "x" }]);
    Files::of(&[&[record(0, &calmly), record(1, &failed)], &[judged]]).report()
}

/// The elements of Markdown as GitHub reads it, in their order.
fn elements(text: &str) -> Vec<String> {
    let options = markdown::Options {
        compile: markdown::CompileOptions { allow_dangerous_html: true, ..markdown::CompileOptions::gfm() },
        ..markdown::Options::gfm()
    };
    let page = markdown::to_html_with_options(text, &options).unwrap();
    page.split('<').skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_is_missing_is_named() {
    let error = |kind: &str, message: &str| json!({ "kind": kind, "message": message, "retryable": false });
    let failed = |row, kind, message| record(row, &[("/status", json!("error")), ("/error", error(kind, message))]);
    let records = [
        record(0, &[]),
        failed(1, "no-video", "films/a b.mp4"),
        failed(2, "no-video", "films/a b.mp4"),
        failed(3, "video", "c.mp4: torn"),
    ];
    let report = Files::of(&[&records]).report();
    let text = to_markdown(&report);
    assert!(text.contains("**Video missing**, 2 rows:\n\n- `films/a b.mp4` rows 1, 2\n"), "{text}");
    assert!(text.contains("**Clip failed**, 1 row:\n\n- `c.mp4: torn` row 3\n"), "{text}");
    assert!(text.contains("**No answer**, 2 rows:\n\n- rows 4, 5\n"), "{text}");
    let page = html(&report);
    assert!(page.contains("films/a b.mp4") && page.contains("partial"));
    assert_eq!(report.counts().missing, 2700 - 1);
}

#[test]
fn judges_are_named_with_their_days() {
    let judged = |row: usize, model: &str, at: &str| {
        let verdict = json!([{ "side": "videodc", "verdict": { "score": 3 }, "model": model, "at": at }]);
        let mut record = record(row, &[("/eval/benchmark", json!("videodc")), ("/eval/rows", json!(3))]);
        record["eval"]["verdicts"] = verdict;
        record
    };
    let mut failed = judged(2, "j1", "2026-11-03T10:00:00Z");
    failed["eval"]["verdicts"][0]["is_by_failure"] = json!(true);
    let records = [judged(0, "j1", "2026-11-02T10:00:00Z"), judged(1, "j1", "2026-11-01T23:00:00Z"), failed];
    let report = Files::of(&[&records]).report();
    for text in [html(&report), to_markdown(&report)] {
        assert!(text.contains("Judged by j1 from 2026-11-01 to 2026-11-02: 2 verdicts"), "{text}");
        assert!(text.contains("No judge gave 1 verdict"), "{text}");
        assert!(text.contains("not comparable across judges"));
    }
    assert_eq!(report.runs[0].decimals(), 2);
}

#[test]
fn rows_of_several_verdicts_count_once() {
    let sides = ["correctness", "detailed_orientation", "context"];
    let verdicts = sides.map(|side| json!({ "side": side, "verdict": { "score": 4 }, "model": "j" }));
    let mut judged = record(0, &[("/eval/benchmark", json!("videochatgpt")), ("/eval/rows", json!(1))]);
    judged["eval"]["part"] = json!("Generic");
    judged["eval"]["verdicts"] = json!(verdicts);
    let report = Files::of(&[&[judged]]).report();
    assert_eq!((report.runs[0].rows, report.runs[0].table.whole.rows, report.counts().rows), (1, 3, 1));
    assert!(html(&report).contains("Parts without any record: Temporal, Consistency."));
}

#[test]
fn draws_have_their_share() {
    let drawn = |row: usize| record(row, &[("/eval/parsed", json!({ "kind": "random", "value": 4 }))]);
    let mut lucky = drawn(0);
    lucky["eval"]["drawn"] = json!("A");
    let report = Files::of(&[&[lucky, drawn(1), record(2, &[]), record(3, &[])]]).report();
    let text = to_markdown(&report);
    assert!(
        text.contains("Drawn at random: 1 answer, of which 1 happen to be right; that is 25.0 points of the figure"),
        "{text}"
    );
    assert!(text.contains("Counted as wrong: 1 answer that the harness would draw at random"), "{text}");
}

#[test]
fn the_card_stands_beside_what_was_not_run() {
    let report = Files::of(&[&six()]).report();
    let text = to_markdown(&report);
    assert_eq!(text.matches("| not run |").count(), 9);
    for card in ["58.2", "57.3", "69.8", "58.4", "82.2", "71.7", "3.54", "3.71", "63.2"] {
        assert!(text.contains(&format!("| {card} |")), "{card}");
    }
    assert_eq!(report.runs[0].standing(), Standing::Level);
}

#[test]
fn own_questions_stand_without_the_card() {
    let own = |row: usize| record(row, &[("/id", json!(format!("own/{row}"))), ("/eval/benchmark", Value::Null)]);
    let report = Files::of(&[&[own(0), own(1)]]).report();
    let text = to_markdown(&report);
    assert!(
        text.contains("## Own questions (partial)") && text.contains("Partial: 4 rows are in no figure."),
        "{text}"
    );
    assert!(!text.contains("Beside the model card") && !html(&report).contains("Benchmarks of the card"), "{text}");
}

/// Nothing but anchors and one icon, which is data.
#[test]
fn the_page_refers_to_nothing_outside() {
    let page = html(&Files::of(&[&six()]).report());
    for attribute in ["href=\"", "src=\"", "url(", "@import"] {
        for rest in page.split(attribute).skip(1) {
            assert!(rest.starts_with('#') || rest.starts_with("data:"), "{attribute}{}", &rest[..40]);
        }
    }
    assert!(page.contains("default-src 'none'") && !page.contains(" style=\""));
}

#[test]
fn what_is_no_result_is_refused_with_its_line() {
    let files = Files::of(&[&six()]);
    std::fs::write(&files.paths[0], "{}\n").unwrap();
    let error = gather(&files.paths, "d", "p").unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}
