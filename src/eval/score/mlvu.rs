//! The harness's figures of MLVU: in 2024 the share over all rows, today the mean of the shares of the task types.

use serde_json::{Map, Value};

use super::figure::{Aggregate, AggregateError, Tally, text};
use crate::eval::{Harness, Split};

/// The codes that the harness expected in 2024; today's data has the names below, at which that harness ends.
const CODES: [&str; 9] = ["AC", "AO", "AR", "ER", "NQA", "PQA", "SSC", "TR", "VS"];
const DEV: [&str; 7] = ["anomaly_reco", "count", "ego", "needle", "order", "plotQA", "topic_reasoning"];
const TEST: [&str; 9] =
    ["anomaly_reco", "count", "ego", "needleQA", "order", "plotQA", "sportsQA", "topic_reasoning", "tutorialQA"];

/// Whether the figure is the mean over these task types, which count as 0 where they have no rows.
pub(super) fn classes(harness: Harness, split: Split) -> Option<&'static [&'static str]> {
    match (harness, split) {
        (Harness::September2024 | Harness::October2024 | Harness::LateOctober2024, _) => None,
        (Harness::Head, Split::Card) => Some(&DEV),
        (Harness::Head, Split::Test) => Some(&TEST),
    }
}

/// The harness logs the types in no order of its own; here they are sorted.
pub(super) fn aggregate(
    harness: Harness,
    split: Split,
    records: &[Map<String, Value>],
) -> Result<Aggregate, AggregateError> {
    let classes = classes(harness, split);
    let types = classes.unwrap_or(&CODES);
    let mut tallies = vec![Tally::default(); types.len()];
    for (index, record) in records.iter().enumerate() {
        let task_type = text(index, record, "task_type")?;
        let place = types
            .iter()
            .position(|&known| known == task_type)
            .ok_or_else(|| AggregateError::UnknownCategory { column: "task_type", name: task_type.to_owned() })?;
        let is_right = text(index, record, "pred_answer")? == text(index, record, "answer")?;
        tallies[place].add(is_right);
    }
    let named = types.iter().zip(&tallies);
    let line = |(name, tally): (&&str, &Tally), blank| {
        format!("Evaluation on Task Categories: {name}: {blank}{:.1}%", tally.percent())
    };
    Ok(if classes.is_some() {
        let value = tallies.iter().map(|tally| tally.percent()).sum::<f64>() / types.len() as f64;
        let head = format!("Average Performance Across All Task Categories: {value:.1}%");
        let log = std::iter::once(head).chain(named.map(|pair| line(pair, ""))).collect();
        Aggregate { log, ..Aggregate::one("mlvu_perception_score", value) }
    } else {
        let value = tallies.iter().copied().sum::<Tally>().percent();
        let tail = format!("Overall Performance:  {value:.1}%");
        let log = named.map(|pair| line(pair, " ")).chain([tail]).collect();
        Aggregate { log, ..Aggregate::one("mlvu_percetion_score", value) }
    })
}
