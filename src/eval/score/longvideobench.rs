//! The harness's figures of LongVideoBench: by length and by kind of question, and over both together, which is the
//! share over all rows with twice their number.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::figure::{Aggregate, AggregateError, Tally, text};
use crate::eval::python_json::{float_repr, text_repr};

pub(super) fn aggregate(records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    let mut subsets: Vec<(&Value, Tally)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        // No answer was drawn where it is null, which is wrong.
        let is_right = record.get("parsed_pred").and_then(Value::as_str) == Some(text(index, record, "answer")?);
        for field in ["duration_group", "question_category"] {
            let name = record.get(field).ok_or(AggregateError::BadRecord { record: index, field })?;
            let place = subsets.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                subsets.push((name, Tally::default()));
                subsets.len() - 1
            });
            subsets[place].1.add(is_right);
        }
    }
    let mut log = String::from("{");
    let (mut weighted, mut rows) = (0.0, 0);
    for (name, tally) in &subsets {
        let share = tally.right as f64 / tally.rows as f64;
        weighted += share * tally.rows as f64;
        rows += tally.rows;
        let name = match name {
            Value::String(name) => text_repr(name),
            other => other.to_string(),
        };
        // Writing to a `String` does not fail.
        let _ = write!(log, "{name}: {{'num': {}, 'acc': {}}}, ", tally.rows, float_repr(round5(share)));
    }
    let value = if rows == 0 { 0.0 } else { round5(weighted / rows as f64) };
    // Without rows Python has a whole number there.
    let overall = if rows == 0 { "0".to_owned() } else { float_repr(value) };
    let _ = write!(log, "'Overall': {{'num': {rows}, 'acc': {overall}}}}}");
    Ok(Aggregate { log: vec![log], ..Aggregate::one("lvb_acc", value) })
}

/// `round(value, 5)`: of the exact value, halves to even.
fn round5(value: f64) -> f64 {
    format!("{value:.5}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_as_python_rounds() {
        for (value, rounded) in [(2.0 / 3.0, 0.66667), (0.000_005, 1e-5), (1.0, 1.0), (1.0 / 64.0, 0.01562)] {
            assert_eq!(round5(value), rounded);
        }
    }
}
