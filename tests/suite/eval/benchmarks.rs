//! Every benchmark from end to end: without videos, with them, and once more.

use serde_json::Value;

use super::desk::{Desk, arg, data, object};
use crate::batch::workplace::{ends_with, first_line};
use crate::support::fixtures;

/// What the harness makes of the fixtures.
fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("eval/fixtures/expected.json")).unwrap()).unwrap()
}

/// Names, folders of fixtures, the tables of `expected.json` in the order of the parts, and whether the answers are
/// scored here.
const ALL: [(&str, &str, &[&str], bool); 10] = [
    ("activitynetqa", "activitynetqa", &["activitynetqa"], false),
    ("egoschema", "egoschema", &["egoschema"], false),
    ("egoschema_subset", "egoschema", &["egoschema_subset"], true),
    ("mlvu", "mlvu", &["mlvu"], true),
    ("nextqa", "nextqa", &["nextqa_mc_test"], true),
    ("perceptiontest", "perceptiontest", &["perceptiontest_val_mc"], true),
    (
        "videochatgpt",
        "videochatgpt",
        &["videochatgpt_Generic", "videochatgpt_Temporal", "videochatgpt_Consistency"],
        false,
    ),
    ("videodc", "videodc", &["video_dc499"], false),
    ("longvideobench", "longvideobench", &["longvideobench_val_v"], true),
    ("videomme", "videomme", &["videomme"], true),
];

/// The contexts of a table, of the tree of September 2024, which agrees with October's here.
fn contexts(expected: &Value, tables: &[&str]) -> Vec<String> {
    let rows = tables.iter().flat_map(|&table| expected[table]["rows"].as_array().unwrap());
    let context =
        |row: &Value| ["all", "2024-10"].iter().find_map(|&tree| row["context"].get(tree)?.as_str()).map(str::to_owned);
    rows.map(|row| context(row).unwrap()).collect()
}

#[test]
fn every_benchmark_runs_from_its_published_files_to_its_figures() {
    let expected = expected();
    for (name, folder, tables, is_scored) in ALL {
        let (desk, data) = (Desk::new(), data(folder));
        let args = [name, "--data", arg(&data), "--json"];
        let contexts = contexts(&expected, tables);
        // Without its video, a row is counted and named, and nothing is scored.
        let run = desk.eval(&args);
        ends_with(&run, 3);
        let found = object(&run);
        assert_eq!((&found["score"], &found["is_complete"]), (&Value::Null, &false.into()), "{run:?}");
        assert_eq!(found["absent"]["no_video"], contexts.len(), "{run:?}");
        assert_eq!(found["absent_rows"].as_array().unwrap().len(), contexts.len());
        assert!(desk.records().values().all(|record| record["eval"]["output"].is_null()));
        // Once the videos are there, the same command goes on.
        let videos = desk.put_missing_videos();
        assert!(videos > 0 && videos <= contexts.len(), "{name}");
        let run = desk.eval(&args);
        ends_with(&run, 0);
        let found = object(&run);
        let records = desk.records();
        let mut asked: Vec<&str> =
            records.values().map(|record| record["answers"][0]["question"].as_str().unwrap()).collect();
        let mut contexts: Vec<&str> = contexts.iter().map(String::as_str).collect();
        asked.sort_unstable();
        contexts.sort_unstable();
        assert_eq!(asked, contexts, "{name}");
        for (id, record) in &records {
            let eval = &record["eval"];
            assert_eq!(eval["output"], record["answers"][0]["answer"], "{id}");
            assert!(eval["length_secs"].as_f64().is_some_and(|secs| secs > 0.0) && !eval["parsed"].is_null(), "{id}");
            assert_eq!((&eval["settings"]["frames"], &eval["protocol"]), (&2.into(), &"card".into()), "{id}");
            assert_eq!(eval["is_correct"].is_boolean(), is_scored, "{id}");
        }
        assert_eq!((&found["is_complete"], &found["rows"]), (&true.into(), &contexts.len().into()), "{run:?}");
        assert_eq!(found["score"].is_number(), is_scored, "{run:?}");
        assert_eq!(found["scored"], if is_scored { contexts.len() } else { 0 }, "{run:?}");
        // A third run has nothing to do, and says the same.
        let again = desk.eval(&args);
        ends_with(&again, 0);
        assert!(first_line(&again).starts_with(&format!("{} done, 0 failed, 0 to do", contexts.len())), "{again:?}");
        if name != "egoschema" {
            assert_eq!(again.stdout, run.stdout);
        }
    }
}

#[test]
fn figures_are_those_of_the_records() {
    let (desk, data) = (Desk::new(), data("videomme"));
    let args = ["videomme", "--data", arg(&data)];
    ends_with(&desk.eval(&args), 3);
    desk.put_missing_videos();
    let run = desk.eval(&args);
    ends_with(&run, 0);
    let right = desk.records().values().filter(|record| record["eval"]["is_correct"] == true).count();
    let share = 100.0 * right as f64 / 12.0;
    for part in [
        "videomme: 12 of 12 rows answered".to_owned(),
        format!("{share:.2}"),
        "model card: 63.2".to_owned(),
        format!("the harness's videomme_percetion_score: {share:.4}"),
        "duration\n  ".to_owned(),
        "sub-category\n  ".to_owned(),
        "protocol card, harness 2024-09, split card".to_owned(),
    ] {
        assert!(run.stdout.contains(&part), "`{part}` is not in: {}", run.stdout);
    }
}

#[test]
fn a_file_of_answers_is_written_for_the_server() {
    let (desk, data) = (Desk::new(), data("egoschema"));
    let args = ["egoschema", "--data", arg(&data), "--submission-dir", "answers", "--json"];
    ends_with(&desk.eval(&args), 3);
    assert!(!desk.0.path("answers").exists(), "rows are missing");
    desk.put_missing_videos();
    let run = desk.eval(&args);
    ends_with(&run, 0);
    let path = object(&run)["submission"].as_str().unwrap().to_owned();
    assert!(path.starts_with("answers/inference_results_egoschema_MC_"), "{path}");
    let answers: serde_json::Map<String, Value> = serde_json::from_str(&desk.0.read(&path)).unwrap();
    for record in desk.records().values() {
        let (video, letter) = (record["eval"]["video"].as_str().unwrap(), record["eval"]["answer"].as_str().unwrap());
        assert_eq!(answers[video], u32::from(letter.as_bytes()[0] - b'A'));
    }
}

#[test]
fn failed_clips_are_named_and_partial_figures_say_so() {
    let (desk, data) = (Desk::new(), data("nextqa"));
    let args = ["nextqa", "--data", arg(&data)];
    ends_with(&desk.eval(&args), 3);
    desk.put_missing_videos();
    let records = desk.records();
    let message = records["nextqa/0"]["error"]["message"].as_str().unwrap();
    let path = message.split(": no such file").next().unwrap();
    desk.0.write(path, "no video");
    let broken =
        records.values().filter(|record| record["eval"]["video"] == records["nextqa/0"]["eval"]["video"]).count();
    let run = desk.eval(&args);
    ends_with(&run, 3);
    for part in [
        format!("{} of 10 rows answered", 10 - broken),
        "failed: 0 (".to_owned(),
        "no score, as rows are missing".to_owned(),
    ] {
        assert!(run.stdout.contains(&part), "`{part}` is not in: {}", run.stdout);
    }
    assert!(!run.stdout.contains("mean") && !run.stdout.contains("model card"), "{}", run.stdout);
    let run = desk.eval(&[&args[..], &["--partial"]].concat());
    ends_with(&run, 3);
    let title = format!("nextqa: partial, {} of 10 rows", 10 - broken);
    assert!(run.stdout.starts_with(&title) && run.stdout.contains("model card: 82.2"), "{}", run.stdout);
    let run = desk.eval(&[&args[..], &["--partial", "--max-errors", "10"]].concat());
    ends_with(&run, 0);
}
