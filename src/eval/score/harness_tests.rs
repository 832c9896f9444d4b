//! The harness's own parses, scores, aggregates and submissions, met exactly.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Aggregate, AggregateError, Scored, aggregate, mean_of_parts, score_row, submission};
use crate::eval::{Benchmark, Harness, Row, Split};

const FILES: [(&str, Benchmark); 10] = [
    ("activitynetqa.json", Benchmark::ActivityNetQa),
    ("egoschema.json", Benchmark::EgoSchemaSubset),
    ("longvideobench.json", Benchmark::LongVideoBench),
    ("mlvu.json", Benchmark::Mlvu),
    ("mvbench.json", Benchmark::MvBench),
    ("nextqa.json", Benchmark::NextQa),
    ("perceptiontest.json", Benchmark::PerceptionTest),
    ("videochatgpt.json", Benchmark::VideoChatGpt),
    ("videodc.json", Benchmark::VideoDc),
    ("videomme.json", Benchmark::VideoMme),
];

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval/scores").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What holds for a tree. A tree that is not named agrees with the last one before it that is.
fn of(expected: &Value, harness: Harness) -> &Value {
    let known = Harness::ALL.iter().rev().skip_while(|&&other| other != harness).map(|other| other.name());
    let first = known.chain(["all", "2024-10"]).find_map(|name| expected.get(name));
    first.unwrap_or_else(|| panic!("nothing for {}: {expected}", harness.name()))
}

fn row(columns: &Value) -> Row {
    let part = columns.get("sub_task").and_then(Value::as_str).map(str::to_owned);
    Row { row: 0, part, columns: object(columns) }
}

fn check(expected: &Value, scored: &Scored, case: &str) {
    let random: Option<Vec<char>> =
        expected.get("random_from").map(|letters| serde_json::from_value(letters.clone()).unwrap());
    assert_eq!(scored.parsed.random_from(), random, "{case}");
    let score = (random.is_none()).then(|| u64::from(scored.is_correct.unwrap()));
    assert_eq!(expected["score"].as_u64(), score, "{case}");
    if let Some(counted) = expected.get("counted") {
        assert_eq!(counted.as_bool(), Some(scored.is_counted), "{case}");
        let pred: Option<String> = serde_json::from_value(expected["pred"].clone()).unwrap();
        assert_eq!(scored.answer(), pred, "{case}");
        assert_eq!(expected["gold"].as_str(), scored.gold.as_deref(), "{case}");
        return;
    }
    for (field, names) in [("pred", ["pred_answer", "parsed_pred"]), ("pred_index", ["pred", "pred_id"])] {
        let (Some(pred), Some(found)) = (expected.get(field), names.iter().find_map(|&name| scored.record.get(name)))
        else {
            continue;
        };
        assert_eq!(found, pred, "{case}");
    }
    if let (Some(Value::String(pred)), true) = (expected.get("pred"), scored.record.contains_key("exact_match")) {
        assert_eq!(scored.answer().as_ref(), Some(pred), "{case}");
    }
}

#[test]
fn every_output_is_parsed_as_the_harness_parses_it() {
    let mut checked = 0;
    for (file, benchmark) in FILES {
        let golden = read(file);
        for (index, case) in list(&golden["parse"]).iter().enumerate() {
            let row = row(&golden["docs"][case["doc"].as_u64().unwrap() as usize]);
            let output = case["output"].as_str().unwrap();
            for harness in Harness::ALL {
                let scored = score_row(benchmark, harness, &row, output, None).unwrap();
                check(of(&case["expect"], harness), &scored, &format!("{file} {harness} {index}: {output:?}"));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 4 * 638);
}

#[test]
fn a_row_without_a_right_answer_is_refused() {
    let golden = read("mvbench.json");
    assert_eq!(of(&golden["answer_not_in_candidates"], Harness::Head)["error"], "AttributeError");
    let mut columns = golden["docs"][0].clone();
    columns["answer"] = Value::from("A");
    for harness in Harness::ALL {
        assert!(score_row(Benchmark::MvBench, harness, &row(&columns), "A", None).is_err());
    }
}

#[test]
fn records_of_longvideobench_have_the_names_of_their_time() {
    let golden = read("longvideobench.json");
    for (name, harness) in [("2024-10", Harness::September2024), ("head", Harness::Head)] {
        let expected = &golden["process_results_example"][name];
        let row = row(&golden["docs"][0]);
        let scored = score_row(Benchmark::LongVideoBench, harness, &row, "A", None).unwrap();
        assert_eq!(Value::Object(scored.record), expected["lvb_acc"]);
        let handed_in = submission::longvideobench_record(harness, &row, "A").unwrap();
        assert_eq!(Value::Object(handed_in), expected["submission"]);
    }
}

fn close(found: f64, expected: &Value, case: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{case}: {found} is not {expected}");
}

fn check_aggregate(expected: &Value, found: &Result<Aggregate, AggregateError>, case: &str) {
    if expected.get("error").is_some() {
        assert!(matches!(found, Err(AggregateError::UnknownCategory { .. })), "{case}: {found:?}");
        return;
    }
    let found = found.as_ref().unwrap_or_else(|error| panic!("{case}: {error}"));
    if let Some(value) = expected.get("value") {
        close(found.value().unwrap(), value, case);
    }
    for figure in &found.figures {
        if let Some(value) = expected.get(figure.name) {
            close(figure.value, value, case);
        }
    }
    if let Some(log) = expected.get("log") {
        assert_eq!(serde_json::to_value(&found.log).unwrap(), *log, "{case}");
    }
}

/// The records of a case, in any of the forms that the goldens have.
fn records(case: &Value) -> Vec<Map<String, Value>> {
    let named = |name: &str, value: &Value| Map::from_iter([(name.to_owned(), value.clone())]);
    if let Some(scores) = case.get("scores") {
        return list(scores).iter().map(|score| named("score", score)).collect();
    }
    if let Some(correct) = case.get("correct") {
        return list(correct).iter().map(|correct| named("correct", correct)).collect();
    }
    list(&case["results"]).iter().map(object).collect()
}

#[test]
fn every_aggregate_is_the_harness_s() {
    let mut checked = 0;
    for (file, benchmark) in FILES {
        let golden = read(file);
        for harness in Harness::ALL {
            let cases = match &golden[if file == "egoschema.json" { "score" } else { "aggregate" }] {
                by_version @ Value::Object(_) => of(by_version, harness).clone(),
                cases => cases.clone(),
            };
            for (index, case) in list(&cases).iter().enumerate() {
                let is_test = case["function"].as_str().is_some_and(|function| function.ends_with("_test"));
                let split = if is_test { Split::Test } else { Split::Card };
                let found = aggregate(benchmark, harness, split, &records(case));
                let expected = match case["expect"].get("all") {
                    Some(expected) => expected,
                    None if file == "mlvu.json" => &case["expect"],
                    None => of(&case["expect"], harness),
                };
                check_aggregate(expected, &found, &format!("{file} {harness} {index}"));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 4 * (4 + 2 + 3 + 6 + 3 + 3 + 3 + 3 + 4));
}

#[test]
fn every_submission_is_the_harness_s() {
    const TIME: &str = "YYYY-MM-DD-HH-MM-SS";
    let check = |expected: &Value, found: submission::Submission| {
        assert_eq!(expected["file_name"], found.name);
        assert_eq!(expected["file_text"], found.text);
    };
    for case in list(&read("egoschema.json")["submission"]) {
        for harness in Harness::ALL {
            check(of(&case["expect"], harness), submission::egoschema(&records(case), TIME));
        }
    }
    let golden = read("longvideobench.json");
    for harness in Harness::ALL {
        for case in list(of(&golden["test_split_submission"], harness)) {
            check(&case["expect"], submission::longvideobench(&records(case)));
        }
    }
    let golden = &read("perceptiontest.json")["test_split_submission"][0];
    let mut records = Vec::new();
    for case in list(&golden["cases"]) {
        let row = row(&case["submission"]);
        let record = submission::perceptiontest_record(&row, case["output"].as_str().unwrap()).unwrap();
        assert_eq!(Value::Object(record.clone()), case["submission"]);
        records.push(record);
    }
    records.truncate(2);
    check(of(&golden["expect"], Harness::Head), submission::perceptiontest(records, TIME));
}

/// Rows as the published files have them, with scripted outputs.
#[test]
fn the_fixtures_score_as_in_the_harness() {
    let fixtures = read("fixtures.json");
    let mut checked = 0;
    for (name, fixture) in fixtures.as_object().unwrap() {
        let benchmark = name.split('/').next().unwrap().parse().unwrap();
        for harness in Harness::ALL {
            let mut records = Vec::new();
            for (index, case) in list(&fixture["rows"]).iter().enumerate() {
                let part = name.split_once('/').map(|(_, part)| part.to_owned());
                let row = Row { row: index, part, columns: object(&case["columns"]) };
                let scored = score_row(benchmark, harness, &row, case["output"].as_str().unwrap(), None).unwrap();
                if let Some(expected) = case.get("result") {
                    assert_eq!(
                        Value::Object(scored.record.clone()),
                        *of(expected, harness),
                        "{name} {harness} {index}"
                    );
                    checked += 1;
                }
                records.push(scored.record);
            }
            if let Some(expected) = fixture.get("submission") {
                let handed_in = submission::egoschema(&records, "x");
                let found: Value = serde_json::from_str(&handed_in.text).unwrap();
                assert_eq!(found, *of(expected, harness), "{name}");
                continue;
            }
            let found = aggregate(benchmark, harness, Split::Card, &records);
            match of(&fixture["aggregate"], harness) {
                value @ Value::Number(_) => close(found.unwrap().value().unwrap(), value, name),
                error => check_aggregate(error, &found, name),
            }
        }
    }
    assert!(checked > 4 * 50, "{checked}");
    assert_eq!(mean_of_parts(&[100.0, 50.0]), Some(75.0));
}
