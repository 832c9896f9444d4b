//! What the model is asked about each row: byte for byte the harness's prompt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::data::{Folder, TREES, arg, eval, golden, lines, list, of, published, without};

/// The published files, the part that is meant, the harness's outputs for them.
const PUBLISHED: [(&str, &str, Option<&str>, &str); 17] = [
    ("activitynetqa", "activitynetqa", None, "activitynetqa"),
    ("egoschema", "egoschema", None, "egoschema"),
    ("egoschema", "egoschema_subset", None, "egoschema_subset"),
    ("mlvu", "mlvu", None, "mlvu"),
    ("mvbench", "mvbench", Some("action_sequence"), "mvbench/action_sequence"),
    ("mvbench", "mvbench", Some("mvbench_episodic_reasoning"), "mvbench/episodic_reasoning"),
    ("mvbench", "mvbench", Some("moving_count"), "mvbench/moving_count"),
    ("mvbench", "mvbench", Some("scene_transition"), "mvbench/scene_transition"),
    ("mvbench", "mvbench", Some("state_change"), "mvbench/state_change"),
    ("nextqa", "nextqa", None, "nextqa_mc_test"),
    ("perceptiontest", "perceptiontest", None, "perceptiontest_val_mc"),
    ("videochatgpt", "videochatgpt", Some("gen"), "videochatgpt_Generic"),
    ("videochatgpt", "videochatgpt", Some("Temporal"), "videochatgpt_Temporal"),
    ("videochatgpt", "videochatgpt", Some("consistency"), "videochatgpt_Consistency"),
    ("videodc", "videodc", None, "video_dc499"),
    ("longvideobench", "longvideobench", None, "longvideobench_val_v"),
    ("videomme", "videomme", None, "videomme"),
];

#[test]
fn published_files_give_the_harness_s_contexts() {
    let expected = golden("fixtures/expected.json");
    for (folder, benchmark, part, key) in PUBLISHED {
        let expected = list(key.split('/').fold(&expected, |value, key| &value[key]).get("rows").unwrap());
        let folder = published(folder);
        for tree in ["2024-10", "2024-10-28", "head"] {
            let mut args = vec!["context", benchmark, "--data", arg(&folder), "--harness", tree];
            args.extend(part.iter().flat_map(|part| ["--part", part]));
            let run = eval(&args);
            run.stdout_of_success();
            let found = lines(&run);
            assert_eq!(found.len(), expected.len(), "{key}");
            for (row, (line, expected)) in found.iter().zip(expected).enumerate() {
                assert_eq!(line["context"], *of(&expected["context"], tree), "{key} {tree} {row}");
                assert_eq!(line["row"], row);
                assert_eq!(line["part"].is_null(), part.is_none(), "{line}");
                assert!(line["video"].as_str().unwrap().contains('/'), "{line}");
            }
        }
    }
}

const FILES: [(&str, &str); 10] = [
    ("activitynetqa.json", "activitynetqa"),
    ("egoschema.json", "egoschema"),
    ("mlvu.json", "mlvu"),
    ("mvbench.json", "mvbench"),
    ("nextqa.json", "nextqa"),
    ("perceptiontest.json", "perceptiontest"),
    ("videochatgpt.json", "videochatgpt"),
    ("videodc.json", "videodc"),
    ("longvideobench.json", "longvideobench"),
    ("videomme.json", "videomme"),
];

#[test]
fn every_context_of_the_harness_is_met() {
    let folder = Folder::new();
    let mut checked = 0;
    for (file, benchmark) in FILES {
        // By benchmark and part, each a file of its own.
        let mut groups: BTreeMap<(String, Option<String>), Vec<Value>> = BTreeMap::new();
        for case in list(&golden(file)["context"]) {
            let text = |key: &str| case.get(key).and_then(Value::as_str).map(str::to_owned);
            let group = (text("task").unwrap_or(benchmark.to_owned()), text("sub_task").or_else(|| text("config")));
            groups.entry(group).or_default().push(case.clone());
        }
        for ((benchmark, part), cases) in groups {
            let docs: Vec<Value> = cases.iter().map(|case| case["doc"].clone()).collect();
            let data = folder.rows("rows.json", &docs);
            for tree in TREES {
                let mut args = vec!["context", &benchmark, "--data", arg(&data), "--harness", tree];
                args.extend(part.iter().flat_map(|part| ["--part", part]));
                let run = eval(&args);
                run.stdout_of_success();
                for (line, case) in lines(&run).iter().zip(&cases) {
                    assert_eq!(line["context"], of(&case["expect"], tree)["text"], "{file} {tree}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 200, "only {checked}");
}

#[test]
fn videos_are_named_where_the_harness_looks_and_found_where_they_are() {
    let (folder, data) = (Folder::new(), published("videomme"));
    let first = lines(&eval(&["context", "videomme", "--data", arg(&data)])).remove(0);
    let video = first["video"].as_str().unwrap();
    assert!(video.starts_with("videomme/data/") && video.ends_with(".mp4"), "{video}");
    let name = video.rsplit('/').next().unwrap().replace("mp4", "mkv");
    let there = folder.text(&format!("data/{name}"), "");
    let run = eval(&["context", "videomme", "--data", arg(&data), "--videos", arg(&folder.path(""))]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let found = lines(&run);
    // Three questions about each video.
    let videos: Vec<&Value> = found.iter().map(|line| &line["video"]).collect();
    assert_eq!(videos[..3], [arg(&there); 3]);
    assert!(videos[3..].iter().all(|video| video.is_null()));
    assert!(run.stderr.contains("warning: 9 of 12 rows have no video, such as `"), "{run:?}");
    assert_eq!(without(&found[0], &["video"]), without(&first, &["video"]));
}

#[test]
fn parts_that_are_not_there_are_named() {
    let data = published("mvbench");
    let run = eval(&["context", "mvbench", "--data", arg(&data)]);
    run.stdout_of_success();
    assert!(run.stderr.contains("holds 5 of the 20 parts of mvbench; not there: object_interaction, "), "{run:?}");
    let rows: Vec<_> = lines(&run).iter().map(|line| (line["part"].clone(), line["row"].clone())).collect();
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[0], ("action_sequence".into(), 0.into()));
    assert_eq!(rows[2], ("moving_count".into(), 0.into()));
}

#[test]
fn what_cannot_be_read_is_named() {
    let run = eval(&["context", "videome", "--data", "x"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert!(
        run.stderr.contains("videome") && run.stderr.contains("similar") && run.stderr.contains("videomme"),
        "{run:?}"
    );
    let data = published("mlvu");
    eval(&["context", "videomme", "--data", arg(&data)])
        .fails_with(&["holds no annotation file of videomme: expected videomme/test-*.parquet"]);
    eval(&["context", "mvbench", "--data", arg(&data), "--part", "x"])
        .fails_with(&["mvbench has no part `x`: expected"]);
    eval(&["context", "videomme", "--data", arg(&data), "--split", "test"])
        .fails_with(&["videomme has no test split of its own"]);
    let run = eval(&["context", "videomme"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--data"), "{run:?}");
}
