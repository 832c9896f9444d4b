//! The benchmarks and what they cost.

use serde_json::Value;

use super::data::{eval, list};

#[test]
fn the_ten_of_the_card_have_rows_and_costs() {
    let object = eval(&["list", "--json"]).json();
    let benchmarks = list(&object["benchmarks"]);
    assert_eq!(benchmarks.len(), 11);
    assert_eq!(benchmarks.iter().filter(|benchmark| benchmark["card"].is_number()).count(), 10);
    for benchmark in benchmarks {
        let hours: Vec<f64> =
            list(&benchmark["costs"]).iter().map(|cost| cost["gpu_hours"].as_f64().unwrap()).collect();
        let frames: Vec<&Value> = list(&benchmark["costs"]).iter().map(|cost| &cost["sampled_frames"]).collect();
        assert_eq!(frames, [64, 110]);
        assert!(hours[0] > 0.1 && hours[0] < hours[1] && hours[1] < 40.0, "{benchmark}");
    }
    let videomme = benchmarks.iter().find(|benchmark| benchmark["benchmark"] == "videomme").unwrap();
    assert_eq!((&videomme["rows"], &videomme["videos"]), (&2700.into(), &900.into()));
}

#[test]
fn people_read_that_costs_are_computed() {
    let run = eval(&["ls"]);
    let text = run.stdout_of_success();
    assert!(
        text.starts_with("BENCHMARK") && text.contains("\nmvbench") && text.contains("computed, not measured"),
        "{text}"
    );
}
