//! The files that go to servers, byte for byte as the harness writes them.

use serde_json::{Map, Value, json};

use super::record::longvideobench_id;
use crate::calendar;
use crate::eval::python::strip;
use crate::eval::python_json::dumps;
use crate::eval::{BadColumn, Benchmark, Harness, Row, Split};

/// A file to hand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its name.
    pub name: String,
    /// Its text, which no newline ends.
    pub text: String,
}

/// Now, as the names of files have it: `2026-11-26-12-03-04`. The harness has local time there; this is UTC.
pub fn now() -> String {
    calendar::now().replace(['T', ':'], "-").replace('Z', "")
}

/// Whether the harness hands in a file for this split.
pub fn has_submission(benchmark: Benchmark, split: Split) -> bool {
    matches!(
        (benchmark, split),
        (Benchmark::EgoSchema, _) | (Benchmark::PerceptionTest | Benchmark::LongVideoBench, Split::Test)
    )
}

/// The file of EgoSchema from its records, each `{video: index}`, where a later one of the same video replaces an
/// earlier one. An answer that nobody drew is -1, which the harness has for none. `time` is local, as
/// `YYYY-MM-DD-HH-MM-SS`.
pub fn egoschema(records: &[Map<String, Value>], time: &str) -> Submission {
    let drawn = |index: &Value| if index.is_null() { json!(-1) } else { index.clone() };
    let all = records.iter().flatten().map(|(video, index)| (video.clone(), drawn(index)));
    let name = format!("inference_results_egoschema_MC_{time}.json");
    Submission { name, text: dumps(&Value::Object(all.collect()), Some(4)) }
}

/// The line of PerceptionTest's test split: an output that is not one capital is no answer.
///
/// # Errors
/// A column is not there.
pub fn perceptiontest_record(row: &Row, output: &str) -> Result<Map<String, Value>, BadColumn> {
    let index = match strip(output) {
        "A" => 0,
        "B" => 1,
        "C" => 2,
        _ => -1,
    };
    let mut record = Map::new();
    for name in ["video_name", "question", "question_id"] {
        let value = row.columns.get(name).ok_or_else(|| row.bad(name, "there"))?;
        record.insert(name.to_owned(), value.clone());
    }
    record.insert("pred_id".to_owned(), json!(index));
    Ok(record)
}

/// The file of PerceptionTest's test split. `time` is local, as `YYYY-MM-DD-HH-MM-SS`.
pub fn perceptiontest(records: Vec<Map<String, Value>>, time: &str) -> Submission {
    let all: Vec<Value> = records.into_iter().map(Value::Object).collect();
    let name = format!("inference_results_perceptiontest_MC_{time}.json");
    Submission { name, text: dumps(&Value::Array(all), Some(4)) }
}

/// The line of LongVideoBench's test split: the output as it is, by the name of the row. The harness of 2024 has the
/// video's name there, so that of the questions of one video only the last is handed in.
///
/// # Errors
/// The name is not there.
pub fn longvideobench_record(harness: Harness, row: &Row, output: &str) -> Result<Map<String, Value>, BadColumn> {
    let name = row.text(longvideobench_id(harness))?;
    Ok(Map::from_iter([(name.to_owned(), Value::from(strip(output)))]))
}

/// The file of LongVideoBench's test split.
pub fn longvideobench(records: &[Map<String, Value>]) -> Submission {
    let all = records.iter().filter_map(|record| record.iter().next());
    let all = all.map(|(name, output)| (name.clone(), output.clone()));
    let name = "longvideobench_test_for_submission.json".to_owned();
    Submission { name, text: dumps(&Value::Object(all.collect()), None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_answer_takes_the_place_of_an_earlier_one() {
        let record = |video: &str, index: i32| Map::from_iter([(video.to_owned(), json!(index))]);
        let submission = egoschema(&[record("a", 1), record("é", 2), record("a", 3)], "2026-01-02-03-04-05");
        assert_eq!(submission.name, "inference_results_egoschema_MC_2026-01-02-03-04-05.json");
        assert_eq!(submission.text, "{\n    \"a\": 3,\n    \"\\u00e9\": 2\n}");
        assert_eq!(egoschema(&[], "x").text, "{}");
        assert_eq!(egoschema(&[Map::from_iter([("a".to_owned(), Value::Null)])], "x").text, "{\n    \"a\": -1\n}");
    }

    #[test]
    fn names_have_the_time_as_the_harness_writes_it() {
        let now = now();
        assert!(now.len() == 19 && now.chars().all(|c| c == '-' || c.is_ascii_digit()), "{now}");
    }

    #[test]
    fn only_these_hand_in_files() {
        let all = Benchmark::ALL.into_iter().flat_map(|b| [Split::Card, Split::Test].map(|split| (b, split)));
        assert_eq!(all.filter(|&(benchmark, split)| has_submission(benchmark, split)).count(), 4);
    }
}
