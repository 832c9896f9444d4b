//! The harness's own outputs, met byte for byte: rows read, contexts, videos, frames and settings.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::context::{Prompt, context, context_for, interleaved, subtitles};
use super::protocol::generation;
use super::videos::{AtMissing, Video, locate};
use super::{Benchmark, Harness, Row, Split, data, wrapper};
use crate::prompt::{Part, TimeInstruction, user_message};
use crate::video::{SamplePolicy, label_text, plan};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval")
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(dir().join(name)).unwrap()).unwrap()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// What holds for a tree: said for all, for itself, or for October, with which the unsaid ones agree.
fn of(expected: &Value, harness: Harness) -> &Value {
    let october = Harness::October2024.name();
    ["all", harness.name(), october].iter().find_map(|&name| expected.get(name)).unwrap_or(expected)
}

/// The files of goldens, and the benchmarks that each is about.
const FILES: [(&str, Benchmark); 10] = [
    ("activitynetqa.json", Benchmark::ActivityNetQa),
    ("egoschema.json", Benchmark::EgoSchema),
    ("mlvu.json", Benchmark::Mlvu),
    ("mvbench.json", Benchmark::MvBench),
    ("nextqa.json", Benchmark::NextQa),
    ("perceptiontest.json", Benchmark::PerceptionTest),
    ("videochatgpt.json", Benchmark::VideoChatGpt),
    ("videodc.json", Benchmark::VideoDc),
    ("longvideobench.json", Benchmark::LongVideoBench),
    ("videomme.json", Benchmark::VideoMme),
];

fn row(case: &Value) -> Row {
    let part = ["sub_task", "config"].iter().find_map(|&key| case.get(key)).and_then(Value::as_str);
    Row { row: 0, part: part.map(str::to_owned), columns: object(&case["doc"]) }
}

#[test]
fn every_context_is_the_harness_s() {
    let mut checked = 0;
    for (file, benchmark) in FILES {
        for case in list(&read(file)["context"]) {
            let benchmark = case.get("task").map_or(benchmark, |task| task.as_str().unwrap().parse().unwrap());
            for harness in Harness::ALL {
                let expected = of(&case["expect"], harness)["text"].as_str().unwrap();
                assert_eq!(context(benchmark, harness, &row(case)).unwrap(), expected, "{file} {harness}");
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "only {checked}");
}

#[test]
fn other_models_have_another_videomme() {
    let golden = read("videomme.json");
    for case in list(&golden["context_default_model"]["cases"]) {
        let columns = object(&golden["docs"][case["doc_index"].as_u64().unwrap() as usize]);
        let row = Row { row: 0, part: None, columns };
        let text = context_for(Prompt::AnyModel, Benchmark::VideoMme, Harness::default(), &row).unwrap();
        assert_eq!(text, case["expect"]["all"]["text"].as_str().unwrap());
    }
}

#[test]
fn subtitles_stand_between_frames() {
    for case in list(&read("longvideobench.json")["context_longvideobench_val_i"]) {
        let lines = subtitles(&case["subtitles"]).unwrap();
        assert_eq!(interleaved(&row(case), &lines).unwrap(), case["expect"]["all"]["text"].as_str().unwrap());
    }
}

#[test]
fn every_video_is_found_where_the_harness_finds_it() {
    let mut checked = 0;
    for (file, benchmark) in FILES {
        let golden = read(file);
        let Some(visual) = golden.get("visual") else { continue };
        for harness in Harness::ALL {
            for case in list(of(visual, harness)) {
                let root = tempfile::Builder::new().prefix("videos").tempdir().unwrap();
                for present in list(&case["files_present"]) {
                    let path = root.path().join(present.as_str().unwrap());
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, "").unwrap();
                }
                let expected = of(&case["expect"], harness);
                let found = locate(root.path(), benchmark, harness, Split::Card, &row(case)).unwrap();
                let handed = match &found {
                    Video::Clip(path) | Video::Frames(path) => Ok(path.clone()),
                    Video::Missing(missing) => match missing.harness {
                        AtMissing::HandsOver => Ok(missing.tried[0].clone()),
                        AtMissing::Exits => Err("SystemExit"),
                        AtMissing::Raises => Err("FileNotFoundError"),
                    },
                };
                let want = expected.get("path").map(|path| root.path().join(path.as_str().unwrap()));
                assert_eq!(handed, want.ok_or_else(|| expected["error"].as_str().unwrap()), "{file} {harness}");
                let is_there = list(&case["files_present"]).len() == 1 && expected.get("path").is_some();
                assert_eq!(matches!(found, Video::Clip(_)), is_there, "{file} {harness}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked}");
}

/// The published files, the key of what is expected of them, and how many rows.
const PUBLISHED: [(&str, Benchmark, Option<&str>, &str, usize); 17] = [
    ("activitynetqa", Benchmark::ActivityNetQa, None, "activitynetqa", 10),
    ("egoschema", Benchmark::EgoSchema, None, "egoschema", 8),
    ("egoschema", Benchmark::EgoSchemaSubset, None, "egoschema_subset", 6),
    ("mlvu", Benchmark::Mlvu, None, "mlvu", 12),
    ("mvbench", Benchmark::MvBench, Some("mvbench_action_sequence"), "mvbench/action_sequence", 2),
    ("mvbench", Benchmark::MvBench, Some("episodic_reasoning"), "mvbench/episodic_reasoning", 2),
    ("mvbench", Benchmark::MvBench, Some("moving_count"), "mvbench/moving_count", 2),
    ("mvbench", Benchmark::MvBench, Some("scene_transition"), "mvbench/scene_transition", 2),
    ("mvbench", Benchmark::MvBench, Some("state_change"), "mvbench/state_change", 2),
    ("nextqa", Benchmark::NextQa, None, "nextqa_mc_test", 10),
    ("perceptiontest", Benchmark::PerceptionTest, None, "perceptiontest_val_mc", 9),
    ("videochatgpt", Benchmark::VideoChatGpt, Some("videochatgpt_gen"), "videochatgpt_Generic", 8),
    ("videochatgpt", Benchmark::VideoChatGpt, Some("temporal"), "videochatgpt_Temporal", 6),
    ("videochatgpt", Benchmark::VideoChatGpt, Some("Consistency"), "videochatgpt_Consistency", 6),
    ("videodc", Benchmark::VideoDc, None, "video_dc499", 6),
    ("longvideobench", Benchmark::LongVideoBench, None, "longvideobench_val_v", 10),
    ("videomme", Benchmark::VideoMme, None, "videomme", 12),
];

fn check_rows(rows: &[Row], benchmark: Benchmark, key: &str) {
    let expected = read("fixtures/expected.json");
    let expected = key.split('/').fold(&expected, |value, key| &value[key]);
    for harness in [Harness::October2024, Harness::LateOctober2024, Harness::Head] {
        for (row, expected) in rows.iter().zip(list(&expected["rows"])) {
            let expected = of(&expected["context"], harness).as_str().unwrap();
            assert_eq!(context(benchmark, harness, row).unwrap(), expected, "{key} {harness}");
        }
    }
    assert_eq!(rows.len(), list(&expected["rows"]).len(), "{key}");
    assert!(rows.iter().map(|row| row.row).eq(0..rows.len()), "{key}");
}

#[test]
fn published_files_give_the_harness_s_contexts() {
    for (folder, benchmark, part, key, count) in PUBLISHED {
        let data = data::read(&dir().join("fixtures").join(folder), benchmark, Split::Card, part).unwrap();
        assert_eq!((data.rows.len(), data.missing_parts.len()), (count, 0), "{key}");
        check_rows(&data.rows, benchmark, key);
    }
}

#[test]
fn all_parts_are_read_and_missing_ones_named() {
    let fixtures = dir().join("fixtures");
    let data = data::read(&fixtures.join("mvbench"), Benchmark::MvBench, Split::Card, None).unwrap();
    assert_eq!((data.rows.len(), data.missing_parts.len()), (10, 15));
    let parts: Vec<_> = data.rows.iter().map(|row| (row.part.as_deref().unwrap(), row.row)).collect();
    assert_eq!(parts[..3], [("action_sequence", 0), ("action_sequence", 1), ("moving_count", 0)]);
    let data = data::read(&fixtures.join("videochatgpt"), Benchmark::VideoChatGpt, Split::Card, None).unwrap();
    assert_eq!((data.rows.len(), data.missing_parts.len()), (20, 0));
}

/// The same table in the formats in which it goes.
#[test]
fn formats_agree() {
    let fixtures = dir().join("fixtures");
    for (file, benchmark, other) in [
        ("nextqa/test.csv", Benchmark::NextQa, "nextqa"),
        ("longvideobench/lvb_val.json", Benchmark::LongVideoBench, "longvideobench"),
    ] {
        let read = |path: &str| data::read(&fixtures.join(path), benchmark, Split::Card, None).unwrap().rows;
        let (rows, others) = (read(file), read(other));
        assert_eq!(rows.len(), others.len());
        for (row, other) in rows.iter().zip(&others) {
            for (name, value) in &other.columns {
                let own = &row.columns[name];
                assert!(own == value || own.as_f64().is_some() && own.as_f64() == value.as_f64(), "{file} {name}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let fixtures = dir().join("fixtures");
    let said = |path: &str, benchmark, split, part| {
        data::read(&fixtures.join(path), benchmark, split, part).unwrap_err().to_string()
    };
    let missing = said("mlvu", Benchmark::VideoMme, Split::Card, None);
    assert!(missing.ends_with("holds no annotation file of videomme: expected videomme/test-*.parquet"), "{missing}");
    let split = said("videomme", Benchmark::VideoMme, Split::Test, None);
    assert_eq!(split, "videomme has no test split of its own");
    let part = said("videomme", Benchmark::VideoMme, Split::Card, Some("short"));
    assert_eq!(part, "videomme has no part `short`: it is one table");
    let several = said("mvbench/json/state_change.json", Benchmark::MvBench, Split::Card, None);
    assert!(several.contains("is one file, and mvbench has several"), "{several}");
    let column = said("videomme/videomme/test-00000-of-00001.parquet", Benchmark::Mlvu, Split::Card, None);
    assert!(column.ends_with("test-00000-of-00001.parquet`: no column `video_name`"), "{column}");
    let none = said("mvbench", Benchmark::MvBench, Split::Card, Some("action_count"));
    assert!(none.ends_with("holds no annotation file of mvbench: expected json/action_count.json"), "{none}");
}

#[test]
fn frames_and_messages_are_the_wrapper_s() {
    for case in list(&read("wrapper.json")["video"]) {
        let number = |key: &str| case[key].as_f64().unwrap();
        let fps = (!case["force_sample"].as_bool().unwrap()).then(|| number("video_fps"));
        let policy = SamplePolicy { max_frames: number("max_frames_num") as usize, fps };
        let (frames, rate) = (number("total_frames"), number("avg_fps"));
        let plan = plan(frames as usize, rate, &policy);
        check_message(case, &case["expect"]["all"], &plan.label_secs, frames / rate);
        let expected: Vec<usize> = serde_json::from_value(case["expect"]["all"]["frame_indices"].clone()).unwrap();
        assert_eq!(plan.indices, expected);
    }
}

#[test]
fn folders_of_frames_are_the_wrapper_s() {
    for case in list(&read("wrapper.json")["frame_folder"]) {
        let count = case["files"].as_u64().unwrap() as usize;
        let plan = wrapper::folder_plan(count, case["max_frames_num"].as_u64().unwrap() as usize);
        for harness in [Harness::October2024, Harness::Head] {
            let expected = of(&case["expect"], harness);
            check_message(case, expected, &plan.label_secs, wrapper::folder_secs(count));
            if let Some(opened) = expected.get("opened") {
                let names: Vec<_> = plan.indices.iter().map(|index| format!("{:05}.jpg", index + 1)).collect();
                assert_eq!(names, list(opened));
            }
        }
    }
}

fn check_message(case: &Value, expected: &Value, label_secs: &[f64], duration_secs: f64) {
    let placement = match case["add_time_instruction"].as_bool().unwrap() {
        true => TimeInstruction::Newline,
        false => TimeInstruction::None,
    };
    let parts = user_message(placement, duration_secs, label_secs, case["context"].as_str().unwrap());
    let text = |part| match part {
        Part::Text(text) | Part::Markup(text) => text,
        Part::Visual => "<image>".to_owned(),
    };
    let message: String = parts.into_iter().map(text).collect();
    assert_eq!(message, expected["messages"][0][1].as_str().unwrap());
    assert_eq!(label_secs.len() as u64, expected["n_frames"].as_u64().unwrap());
    assert!(label_secs.iter().all(|&secs| label_text(secs).ends_with('s')));
}

#[test]
fn answers_about_videos_that_fail_are_the_wrapper_s() {
    for case in list(&read("wrapper.json")["load_failure"]) {
        let answer = wrapper::cannot_load(case["visual"][0].as_str().unwrap());
        assert_eq!(answer, case["expect"]["all"]["response"].as_str().unwrap());
    }
}

#[test]
fn generation_is_the_wrapper_s() {
    let golden = read("wrapper.json");
    let golden = object(&golden["generation"]);
    assert_eq!(golden.len(), 12);
    for (task, expected) in golden {
        let benchmark = match task.as_str() {
            "longvideobench_val_v" => Benchmark::LongVideoBench,
            "mvbench_action_count" => Benchmark::MvBench,
            "nextqa_mc_test" => Benchmark::NextQa,
            "perceptiontest_val_mc" => Benchmark::PerceptionTest,
            "video_dc499" => Benchmark::VideoDc,
            task if task.starts_with("videochatgpt_") => Benchmark::VideoChatGpt,
            task => task.parse().unwrap(),
        };
        for harness in Harness::ALL {
            let passed = &of(&expected, harness)["passed_to_generate"];
            let settings = generation(benchmark, harness);
            assert_eq!(passed["max_new_tokens"], settings.max_new_tokens, "{task} {harness}");
            assert_eq!((passed["temperature"].as_f64(), &passed["do_sample"]), (Some(0.0), &Value::from(false)));
            assert_eq!((passed["top_p"].as_f64(), &passed["num_beams"]), (settings.top_p, &Value::from(1)));
            assert_eq!(settings.temperature, 0.0);
        }
    }
}
