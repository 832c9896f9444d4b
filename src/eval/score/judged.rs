//! The harness's figures over verdicts of a judge.

use serde_json::{Map, Value};

use super::figure::{Aggregate, AggregateError, Figure, text};
use super::table::Sample;
use crate::eval::judge::literal::int_of_json;

/// Accuracy over the rows that are called right or wrong, and the mean score over all rows.
pub(super) fn activitynetqa(records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    let (mut yes, mut no, mut sum) = (0usize, 0usize, 0i64);
    for (index, record) in records.iter().enumerate() {
        match called_right(index, record)? {
            Some(true) => yes += 1,
            Some(false) => no += 1,
            None => {}
        }
        let score = record.get("score").and_then(int_of_json);
        sum += score.ok_or(AggregateError::BadRecord { record: index, field: "score" })?;
    }
    // In this order, so that the last digit is the harness's.
    let accuracy = if yes + no > 0 { yes as f64 / (yes + no) as f64 * 100.0 } else { 0.0 };
    let score = if records.is_empty() { 0.0 } else { sum as f64 / records.len() as f64 };
    let figures =
        vec![Figure { name: "gpt_eval_accuracy", value: accuracy }, Figure { name: "gpt_eval_score", value: score }];
    Ok(Aggregate { figures, log: Vec::new() })
}

/// Whether the judge calls a row right; `None` where it says neither.
fn called_right(index: usize, record: &Map<String, Value>) -> Result<Option<bool>, AggregateError> {
    let said = text(index, record, "Correctness")?.to_lowercase();
    Ok(match (said.contains("yes"), said.contains("no")) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    })
}

/// The mean of one side's scores.
pub(super) fn videochatgpt(records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    let mut sum = 0.0;
    for (index, record) in records.iter().enumerate() {
        let score = record.get("score").and_then(Value::as_f64);
        sum += score.ok_or(AggregateError::BadRecord { record: index, field: "score" })?;
    }
    let mean = if records.is_empty() { 0.0 } else { sum / records.len() as f64 };
    Ok(Aggregate::one("gpt_eval_score", mean))
}

/// The mean of the scores as whole numbers; what is none counts as 0.
pub(super) fn videodc(records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    let sum: i64 = records.iter().map(|record| record.get("score").and_then(int_of_json).unwrap_or(0)).sum();
    match records.is_empty() {
        true => Err(AggregateError::NoRows),
        false => Ok(Aggregate::one("gpt_eval_score", sum as f64 / records.len() as f64)),
    }
}

/// The samples behind the card's figure of a judged benchmark: right or wrong of ActivityNet-QA, else the scores.
///
/// # Errors
/// A record that is not a verdict.
pub fn samples(
    rows: impl IntoIterator<Item = (Sample, Map<String, Value>)>,
    is_accuracy: bool,
) -> Result<Vec<Sample>, AggregateError> {
    let mut samples = Vec::new();
    for (index, (sample, record)) in rows.into_iter().enumerate() {
        let value = match is_accuracy {
            true => called_right(index, &record)?.map(|is_right| f64::from(u8::from(is_right))),
            false => Some(record.get("score").and_then(int_of_json).unwrap_or(0) as f64),
        };
        samples.push(Sample { value, ..sample });
    }
    Ok(samples)
}
