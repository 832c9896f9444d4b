//! MVBench: parts, of which some may not be there, and videos that are folders of frames.

use serde_json::Value;

use super::desk::{Desk, arg, data, object};
use crate::batch::workplace::{ends_with, refused};
use crate::support::fixtures;

#[test]
fn parts_are_averaged_and_those_without_data_named() {
    let (desk, data) = (Desk::new(), data("mvbench"));
    let args = ["mvbench", "--data", arg(&data), "--harness", "2024-10", "--json"];
    ends_with(&desk.eval(&args), 3);
    desk.put_missing_videos();
    let run = desk.eval(&args);
    // Fifteen of the twenty are not there.
    ends_with(&run, 3);
    let found = object(&run);
    assert_eq!((&found["score"], found["missing_parts"].as_array().unwrap().len()), (&Value::Null, 15), "{run:?}");
    assert!(run.stderr.contains("the data has no files of these parts: object_interaction, "), "{run:?}");
    let found = object(&desk.eval(&[&args[..], &["--partial"]].concat()));
    let parts = found["categories"].as_array().unwrap();
    let means: f64 = parts.iter().map(|part| part["score"].as_f64().unwrap()).sum();
    assert_eq!((parts.len(), &parts[0]["dimension"]), (5, &"part".into()));
    assert!((found["score"].as_f64().unwrap() - means / 5.0).abs() < 1e-9, "{found}");
    // One part by itself is whole, and goes on with the same records.
    let run = desk.eval(&[&args[..], &["--part", "moving_count"]].concat());
    ends_with(&run, 0);
    let found = object(&run);
    assert_eq!((&found["rows"], found["score"].is_number(), &found["card"]), (&2.into(), true, &Value::Null));
    refused(&desk.eval(&[&args[..], &["--part", "moving"]].concat()), 2, &["mvbench has no part `moving`"]);
}

#[test]
fn frames_of_a_folder_are_always_the_whole_number() {
    let (desk, data) = (Desk::new(), data("mvbench"));
    let args =
        ["mvbench", "--data", arg(&data), "--part", "episodic_reasoning", "--protocol", "docs", "-n", "4", "--json"];
    ends_with(&desk.eval(&args), 3);
    for record in desk.records().values() {
        let message = record["error"]["message"].as_str().unwrap();
        assert!(message.contains("tvqa/frames_fps3_hq/") && message.contains("the harness would score"), "{message}");
        let folder = desk.0.path(message.split(": no such file").next().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        for index in 0..6 {
            std::fs::copy(fixtures().join("pictures/g2.png"), folder.join(format!("{index:05}.png"))).unwrap();
        }
    }
    ends_with(&desk.eval(&args), 0);
    for record in desk.records().values() {
        let times: Vec<f64> =
            record["frames"].as_array().unwrap().iter().map(|frame| frame["time_secs"].as_f64().unwrap()).collect();
        // At three pictures to the second: numbers 0, 1, 3 and 5 of six.
        assert_eq!(times, [0.0, 0.33, 1.0, 1.67], "{record}");
        assert_eq!(
            (&record["eval"]["length_secs"], &record["eval"]["settings"]["pooling"]),
            (&2.0.into(), &"average".into())
        );
    }
}
