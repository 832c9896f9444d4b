//! The harness's own figures over its records, in its scale, with the lines that it logs.

use serde_json::{Map, Value};

use super::figure::{Aggregate, AggregateError, Tally, text};
use super::{judged, longvideobench, mlvu, videomme};
use crate::eval::{Benchmark, Harness, Split};

/// The harness's figures over `records`, which are those of one part where a benchmark has several, and of judged
/// benchmarks the judge's verdicts.
///
/// # Errors
/// The harness ends without a figure, or the records are not its.
pub fn aggregate(
    benchmark: Benchmark,
    harness: Harness,
    split: Split,
    records: &[Map<String, Value>],
) -> Result<Aggregate, AggregateError> {
    match benchmark {
        Benchmark::ActivityNetQa => judged::activitynetqa(records),
        Benchmark::VideoChatGpt => judged::videochatgpt(records),
        Benchmark::VideoDc => judged::videodc(records),
        Benchmark::EgoSchema => Err(AggregateError::NoFigure(benchmark)),
        Benchmark::EgoSchemaSubset => {
            let is_right = |_, record: &Map<String, Value>| Ok(said(record, "pred") == said(record, "ground_truth"));
            Ok(Aggregate::one("score", share(records, is_right)?))
        }
        Benchmark::Mlvu => mlvu::aggregate(harness, split, records),
        Benchmark::MvBench => mvbench(records),
        Benchmark::NextQa => {
            let is_right = |index, record: &Map<String, Value>| {
                match record.get("exact_match") {
                    Some(Value::Bool(is_right)) => Ok(*is_right),
                    // An answer that nobody drew.
                    Some(Value::Null) => Ok(false),
                    _ => Err(AggregateError::BadRecord { record: index, field: "exact_match" }),
                }
            };
            Ok(Aggregate::one("exact_match", share(records, is_right)?))
        }
        Benchmark::PerceptionTest => {
            let is_right = |_, record: &Map<String, Value>| Ok(record.get("correct") == Some(&Value::from(1)));
            Ok(Aggregate::one("accuracy", share(records, is_right)?))
        }
        Benchmark::LongVideoBench => longvideobench::aggregate(records),
        Benchmark::VideoMme => videomme::aggregate(harness, records),
    }
}

/// The mean over parts that the harness leaves to hand: of MVBench's twenty, of VideoChatGPT's five.
pub fn mean_of_parts(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `str` of a field: numbers and texts of the same digits are equal.
fn said(record: &Map<String, Value>, field: &str) -> Option<String> {
    match record.get(field)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn share(
    records: &[Map<String, Value>],
    is_right: impl Fn(usize, &Map<String, Value>) -> Result<bool, AggregateError>,
) -> Result<f64, AggregateError> {
    let mut right = 0;
    for (index, record) in records.iter().enumerate() {
        right += usize::from(is_right(index, record)?);
    }
    match records.is_empty() {
        true => Err(AggregateError::NoRows),
        false => Ok(right as f64 / records.len() as f64),
    }
}

/// Rows whose output is empty are left out.
fn mvbench(records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    let mut tally = Tally::default();
    for (index, record) in records.iter().enumerate() {
        if text(index, record, "pred_answer")?.is_empty() {
            continue;
        }
        let score = record.get("score").and_then(Value::as_u64);
        tally.add(score.ok_or(AggregateError::BadRecord { record: index, field: "score" })? > 0);
    }
    Ok(Aggregate::one("mvbench_accuracy", tally.percent()))
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figure;
    use super::*;

    /// Python's `format(x, ".1f")` rounds the exact value, halves to even.
    #[test]
    fn rounding_is_pythons() {
        assert_eq!(format!("{:.1}", 6.25), "6.2");
        assert_eq!(format!("{:.1}", 18.75), "18.8");
        assert_eq!(format!("{:.1}", 0.05), "0.1");
        assert_eq!(Figure { name: "x", value: 2.0 / 3.0 }.printed(), "0.6667");
        assert_eq!(Figure { name: "x", value: 71.0 / 7.0 }.printed(), "10.1429");
    }

    #[test]
    fn no_rows_are_no_figure_where_the_harness_divides() {
        for benchmark in Benchmark::ALL {
            let figure = aggregate(benchmark, Harness::September2024, Split::Card, &[]);
            let value = figure.as_ref().ok().and_then(Aggregate::value);
            match benchmark {
                Benchmark::EgoSchema => assert_eq!(figure, Err(AggregateError::NoFigure(benchmark))),
                Benchmark::EgoSchemaSubset | Benchmark::NextQa | Benchmark::PerceptionTest | Benchmark::VideoDc => {
                    assert_eq!(figure, Err(AggregateError::NoRows), "{benchmark}");
                }
                _ => assert_eq!(value, Some(0.0), "{benchmark}"),
            }
        }
    }
}
