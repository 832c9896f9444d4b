//! Predictions made elsewhere, scored as the harness scores them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::data::{Folder, TREES, arg, eval, golden, lines, list, of, published};
use crate::support::Run;

/// The records and the object of figures of a run with `--json`.
#[track_caller]
fn scored(run: &Run) -> (Vec<Value>, Value) {
    run.stdout_of_success();
    let mut lines = lines(run);
    let figures = lines.pop().unwrap();
    assert!(figures.get("harness_figures").is_some(), "{figures}");
    (lines, figures)
}

fn close(found: &Value, expected: &Value, case: &str) {
    let (found, expected) = (found.as_f64().unwrap_or_else(|| panic!("{case}: {found}")), expected.as_f64().unwrap());
    assert!((found - expected).abs() < 1e-9, "{case}: {found} is not {expected}");
}

/// The harness's first figure of each part.
fn first_figures(figures: &Value) -> Vec<Value> {
    let first = |part: &Value| part["figures"].as_object().and_then(|all| all.values().next()).cloned();
    list(&figures["harness_figures"]).iter().map(|part| first(part).unwrap_or_default()).collect()
}

#[test]
fn published_files_score_as_in_the_harness() {
    let (folder, expected) = (Folder::new(), golden("fixtures/expected.json"));
    for (dir, benchmark, key) in [
        ("egoschema", "egoschema_subset", "egoschema_subset"),
        ("mlvu", "mlvu", "mlvu"),
        ("nextqa", "nextqa", "nextqa_mc_test"),
        ("perceptiontest", "perceptiontest", "perceptiontest_val_mc"),
        ("longvideobench", "longvideobench", "longvideobench_val_v"),
        ("videomme", "videomme", "videomme"),
    ] {
        let (expected, dir) = (&expected[key], published(dir));
        let outputs: Vec<&str> = list(&expected["rows"]).iter().map(|row| row["output"].as_str().unwrap()).collect();
        let predictions = folder.outputs("p.jsonl", None, &outputs);
        for tree in TREES {
            let args = ["score", benchmark, "--data", arg(&dir), arg(&predictions), "--harness", tree, "--json"];
            let (records, figures) = scored(&eval(&args));
            assert_eq!(records.len(), outputs.len(), "{key}");
            for (row, (record, expected)) in records.iter().zip(list(&expected["rows"])).enumerate() {
                assert_eq!(record["eval"]["record"], *of(&expected["result"], tree), "{key} {tree} {row}");
                assert_eq!((&record["eval"]["row"], &record["status"]), (&json!(row), &json!("ok")));
            }
            match of(&expected["aggregate"], tree) {
                value @ Value::Number(_) => close(&first_figures(&figures)[0], value, key),
                // The harness of 2024 ends at today's names; the share of right answers is what it would have given.
                error => {
                    assert_eq!(error["error"], "KeyError");
                    let said = figures["harness_figures"][0]["reason"].as_str().unwrap();
                    assert!(said.contains("unknown task_type"), "{said}");
                    close(&figures["score"], &expected["plain_accuracy_percent"]["all"], key);
                }
            }
        }
    }
}

#[test]
fn parts_score_alone_and_together() {
    let (folder, expected, dir) = (Folder::new(), golden("fixtures/expected.json"), published("mvbench"));
    let mut all = String::new();
    let parts = expected["mvbench"].as_object().unwrap();
    for (part, expected) in parts {
        for (row, case) in list(&expected["rows"]).iter().enumerate().rev() {
            all += &format!("{}\n", json!({ "row": row, "part": part, "output": case["output"] }));
        }
    }
    let predictions = folder.text("p.jsonl", &all);
    let (records, figures) = scored(&eval(&["score", "mvbench", "--data", arg(&dir), arg(&predictions), "--json"]));
    assert_eq!(records.len(), 10);
    for record in &records {
        let (part, row) = (record["eval"]["part"].as_str().unwrap(), record["eval"]["row"].as_u64().unwrap());
        let expected = &parts[part]["rows"][row as usize]["result"]["all"];
        assert_eq!(record["eval"]["record"], *expected, "{part} {row}");
    }
    let found: Map<String, Value> = list(&figures["harness_figures"])
        .iter()
        .map(|figures| (figures["part"].as_str().unwrap().to_owned(), figures["figures"]["mvbench_accuracy"].clone()))
        .collect();
    for (part, expected) in parts {
        close(&found[part], &expected["aggregate"]["all"], part);
    }
    close(&figures["harness_mean"], &expected["mvbench_mean_of_subtasks"]["all"], "mean");
    assert_eq!((list(&figures["missing_parts"]).len(), &figures["is_complete"]), (15, &json!(false)));
    // One part alone: lines of the others are left out.
    let args = ["score", "mvbench", "--data", arg(&dir), arg(&predictions), "--part", "moving_count", "--json"];
    let run = eval(&args);
    let (records, figures) = scored(&run);
    assert_eq!((records.len(), &figures["is_complete"]), (2, &json!(true)));
    assert!(run.stderr.contains("note: 8 predictions of other parts left out"), "{run:?}");
}

/// The files of the harness's parses, and the benchmarks that they are of.
const PARSES: [(&str, &str); 7] = [
    ("egoschema.json", "egoschema_subset"),
    ("longvideobench.json", "longvideobench"),
    ("mlvu.json", "mlvu"),
    ("mvbench.json", "mvbench"),
    ("nextqa.json", "nextqa"),
    ("perceptiontest.json", "perceptiontest"),
    ("videomme.json", "videomme"),
];

/// One row for each output that the harness was given.
#[test]
fn every_output_is_parsed_and_scored_as_the_harness_does() {
    let folder = Folder::new();
    let mut checked = 0;
    for (file, benchmark) in PARSES {
        let golden = golden(file);
        let mut parts: BTreeMap<Option<&str>, Vec<&Value>> = BTreeMap::new();
        for case in list(&golden["parse"]) {
            let doc = &golden["docs"][case["doc"].as_u64().unwrap() as usize];
            parts.entry(doc["sub_task"].as_str()).or_default().push(case);
        }
        for (part, cases) in parts {
            let docs: Vec<Value> =
                cases.iter().map(|case| golden["docs"][case["doc"].as_u64().unwrap() as usize].clone()).collect();
            let outputs: Vec<&str> = cases.iter().map(|case| case["output"].as_str().unwrap()).collect();
            let data = folder.rows("rows.json", &docs);
            let predictions = folder.outputs("p.jsonl", part, &outputs);
            for tree in TREES {
                let mut args =
                    vec!["score", benchmark, "--data", arg(&data), arg(&predictions), "--harness", tree, "--json"];
                args.extend(part.iter().flat_map(|part| ["--part", part]));
                let (records, figures) = scored(&eval(&args));
                let undrawn = cases.iter().filter(|case| of(&case["expect"], tree).get("random_from").is_some());
                assert_eq!(figures["undrawn"], undrawn.count(), "{file} {tree}");
                for (case, record) in cases.iter().zip(&records) {
                    check(of(&case["expect"], tree), &record["eval"], &format!("{file} {tree} {:?}", case["output"]));
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 4 * 638);
}

fn check(expected: &Value, eval: &Value, case: &str) {
    if let Some(letters) = expected.get("random_from") {
        assert_eq!(eval["parsed"], json!({ "kind": "random", "value": list(letters).len() }), "{case}");
        assert_eq!((&eval["answer"], &eval["is_correct"]), (&Value::Null, &json!(false)), "{case}");
        return;
    }
    assert_eq!(eval["is_correct"], expected["score"].as_u64().unwrap() == 1, "{case}");
    let letter = |index: &Value| index.as_i64().filter(|&index| index >= 0).map(|index| char::from(b'A' + index as u8));
    match (expected.get("pred"), expected.get("pred_index")) {
        (Some(pred), _) if pred == "" => {
            assert!(eval["answer"].is_null() || eval["answer"] == "", "{case}: {}", eval["answer"]);
        }
        (Some(pred), _) => assert_eq!(eval["answer"], *pred, "{case}"),
        (_, Some(index)) => assert_eq!(eval["answer"], json!(letter(index)), "{case}"),
        _ => panic!("{case}: {expected}"),
    }
    if let Some(counted) = expected.get("counted") {
        assert_eq!((eval["value"].is_number(), &eval["gold"]), (counted == true, &expected["gold"]), "{case}");
    }
}

#[test]
fn draws_are_those_of_their_seed_and_told() {
    let (folder, golden) = (Folder::new(), golden("nextqa.json"));
    let docs: Vec<Value> = (0..40).map(|_| golden["docs"][0].clone()).collect();
    let data = folder.rows("rows.json", &docs);
    let predictions = folder.outputs("p.jsonl", None, &["**B**"; 40]);
    let run = |extra: &[&str]| {
        let args = ["score", "nextqa", "--data", arg(&data), arg(&predictions), "--json"];
        scored(&eval(&[&args, extra].concat()))
    };
    let (records, figures) = run(&[]);
    assert_eq!(
        (&figures["undrawn"], &figures["draws"]["rows"], &figures["score"]),
        (&json!(40), &json!(0), &json!(0.0))
    );
    assert_eq!(records[0]["eval"]["record"], json!({ "exact_match": null }));
    let (drawn, figures) = run(&["--draw-seed", "7"]);
    assert_eq!((&figures["undrawn"], &figures["draws"]["rows"]), (&json!(0), &json!(40)));
    let right = drawn.iter().filter(|record| record["eval"]["is_correct"] == true).count();
    assert!((2..16).contains(&right), "{right} of 40 by one in five");
    assert_eq!(figures["draws"]["right"], right);
    assert_eq!(run(&["--draw-seed", "7"]).0, drawn);
    assert_ne!(run(&["--draw-seed", "8"]).0, drawn);
}

#[test]
fn submissions_are_the_harness_s() {
    let folder = Folder::new();
    let out = folder.path("out");
    let submitted = |run: &Run| -> (String, String) {
        let (_, figures) = scored(run);
        let path = std::path::PathBuf::from(figures["submission"].as_str().unwrap());
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    // EgoSchema: an answer that nobody drew is none.
    let golden_of_ego = golden("egoschema.json");
    for case in list(&golden_of_ego["submission"]) {
        let results: Vec<(String, i64)> = list(&case["results"])
            .iter()
            .flat_map(|result| result.as_object().unwrap())
            .map(|(video, index)| (video.clone(), index.as_i64().unwrap()))
            .collect();
        let doc = |(video, _): &(String, i64)| {
            let mut doc = golden_of_ego["docs"][0].clone();
            (doc["video_idx"], doc["answer"]) = (json!(video), Value::Null);
            doc
        };
        let letters = ["A", "B", "C", "D", "E"];
        let outputs: Vec<&str> =
            results.iter().map(|(_, index)| usize::try_from(*index).map_or("", |index| letters[index])).collect();
        let data = folder.rows("ego.json", &results.iter().map(doc).collect::<Vec<_>>());
        let predictions = folder.outputs("p.jsonl", None, &outputs);
        for tree in TREES {
            let args = ["score", "egoschema", "--data", arg(&data), arg(&predictions), "--harness", tree, "--json"];
            let (name, text) = submitted(&eval(&[&args[..], &["--submission-dir", arg(&out)]].concat()));
            let expected = of(&case["expect"], tree);
            assert_eq!(text, expected["file_text"].as_str().unwrap(), "{tree}");
            assert!(name.starts_with("inference_results_egoschema_MC_20") && name.ends_with(".json"), "{name}");
            assert_eq!(name.len(), expected["file_name"].as_str().unwrap().len());
        }
    }
    // PerceptionTest's other split.
    let case = &golden("perceptiontest.json")["test_split_submission"][0];
    let (cases, expected) = (&list(&case["cases"])[..2], of(&case["expect"], "head"));
    let doc = |case: &Value| {
        let mut doc = case["submission"].clone();
        doc["options"] = json!(["x", "y", "z"]);
        doc
    };
    let data = folder.rows("pt.json", &cases.iter().map(doc).collect::<Vec<_>>());
    let outputs: Vec<&str> = cases.iter().map(|case| case["output"].as_str().unwrap()).collect();
    let predictions = folder.outputs("p.jsonl", None, &outputs);
    let args = ["score", "perceptiontest", "--split", "test", "--data", arg(&data), arg(&predictions), "--json"];
    let (name, text) = submitted(&eval(&[&args[..], &["--submission-dir", arg(&out)]].concat()));
    assert_eq!(text, expected["file_text"].as_str().unwrap());
    assert!(name.starts_with("inference_results_perceptiontest_MC_20"), "{name}");
    // LongVideoBench's: in 2024, later answers about a video take the place of earlier ones.
    let golden_of_lvb = golden("longvideobench.json");
    for tree in TREES {
        for case in list(of(&golden_of_lvb["test_split_submission"], tree)) {
            let results = list(&case["results"]).iter().flat_map(|result| result.as_object().unwrap());
            let (names, outputs): (Vec<_>, Vec<_>) =
                results.map(|(name, output)| (name, output.as_str().unwrap())).unzip();
            let doc = |name: &&String| {
                let mut doc = golden_of_lvb["docs"][0].clone();
                (doc["id"], doc["video_id"], doc["correct_choice"]) = (json!(name), json!(name), Value::Null);
                doc
            };
            let data = folder.rows("lvb.json", &names.iter().map(doc).collect::<Vec<_>>());
            let predictions = folder.outputs("p.jsonl", None, &outputs);
            let args = ["score", "longvideobench", "--split", "test", "--data", arg(&data), arg(&predictions)];
            let run = eval(&[&args[..], &["--harness", tree, "--json", "--submission-dir", arg(&out)]].concat());
            let (name, text) = submitted(&run);
            assert_eq!(
                (name.as_str(), text.as_str()),
                (case["expect"]["file_name"].as_str().unwrap(), case["expect"]["file_text"].as_str().unwrap())
            );
            assert_eq!(scored(&run).1["unscored"], names.len());
        }
    }
    let data = published("videomme");
    let run = eval(&["score", "videomme", "--data", arg(&data), "x", "--submission-dir", arg(&out)]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("has no file to hand in"), "{run:?}");
}

#[test]
fn rows_without_a_prediction_are_named_and_scored_only_when_asked() {
    let (folder, data) = (Folder::new(), published("nextqa"));
    let predictions = folder.text("p.jsonl", "{\"row\": 4, \"output\": \"A\"}\n\n{\"row\": 2, \"output\": \"C\"}\n");
    let args = ["score", "nextqa", "--data", arg(&data), arg(&predictions)];
    let run = eval(&[&args[..], &["--json"]].concat());
    assert_eq!(run.code, Some(3), "{run:?}");
    let mut found = lines(&run);
    let figures = found.pop().unwrap();
    assert_eq!((found.len(), &figures["score"], &figures["absent"]), (10, &Value::Null, &json!({ "no_output": 8 })));
    assert_eq!((&found[0]["status"], &found[0]["reason"]), (&json!("skipped"), &json!("no prediction")));
    assert_eq!(list(&figures["harness_figures"]).len(), 0);
    let run = eval(&[&args[..], &["--partial"]].concat());
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.stderr.contains("nextqa: partial, 2 of 10 rows answered")
            && run.stderr.contains("8 rows without an answer"),
        "{run:?}"
    );
    // The records alone are on standard output.
    assert_eq!(lines(&run), found);
}

#[test]
fn what_is_no_prediction_is_refused() {
    let (folder, data) = (Folder::new(), published("nextqa"));
    for (text, parts) in [
        (
            "{\"row\": 0}",
            &["line 1, is no prediction: missing field `output`", "hint: a line is an object such as"][..],
        ),
        ("{\"row\": 10, \"output\": \"A\"}", &["line 1: there is no row 10: the data has 10 rows"]),
        (
            "{\"row\": 1, \"output\": \"A\"}\n{\"row\": 1, \"output\": \"B\"}",
            &["line 2: row 1 has a prediction already"],
        ),
        ("{\"row\": 1, \"output\": \"A\", \"part\": \"x\"}", &["line 1", "nextqa has no part `x`: it is one table"]),
    ] {
        let predictions = folder.text("p.jsonl", text);
        eval(&["score", "nextqa", "--data", arg(&data), arg(&predictions)]).fails_with(parts);
    }
    eval(&["score", "nextqa", "--data", arg(&data), "none.jsonl"]).fails_with(&["cannot read `none.jsonl`"]);
    let mvbench = published("mvbench");
    let predictions = folder.text("p.jsonl", "{\"row\": 0, \"output\": \"A\"}");
    eval(&["score", "mvbench", "--data", arg(&mvbench), arg(&predictions)]).fails_with(&[
        "line 1: no `part`, and mvbench has several",
        "hint: ",
        "--part NAME",
    ]);
}

#[test]
fn answers_that_a_judge_scores_wait_for_it() {
    let (folder, data) = (Folder::new(), published("activitynetqa"));
    let predictions = folder.outputs("p.jsonl", None, &["yes"; 10]);
    let run = eval(&["score", "activitynetqa", "--data", arg(&data), arg(&predictions), "--json"]);
    let (records, figures) = scored(&run);
    assert_eq!((&figures["score"], &figures["absent"]), (&Value::Null, &json!({ "no_verdict": 10 })));
    let keys: Vec<&String> = records[0]["eval"]["record"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["video_name", "Q", "A", "pred"]);
}
