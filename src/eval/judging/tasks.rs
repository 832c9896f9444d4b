//! What a judge is asked about the records of a run: one task a row, or a pair of rows.

use std::collections::HashMap;

use crate::eval::judge::{ConsistencyAnswer, Question, Side, Task, pair, sides};
use crate::eval::results::ResultRecord;

/// What a judge is asked about the records of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tasks {
    /// In the order of the records; each has the id of its record, of a pair that of the first.
    pub all: Vec<Task>,
    /// The second records of pairs, by the place of the first.
    pub second: HashMap<usize, usize>,
    /// The place of each task's record.
    pub places: HashMap<String, usize>,
    /// Records of the consistency part that no other one about the same video pairs with: the harness drops them.
    pub alone: Vec<usize>,
}

/// Records about which no judge can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A benchmark that has no judge.
    #[error("{name} has no judge: its answers are compared")]
    NoJudge {
        /// Its name.
        name: &'static str,
    },
    /// A record without its question.
    #[error("the record `{id}` does not hold `{field}` for the judge")]
    NoQuestion {
        /// The record.
        id: String,
        /// The field of `eval.record`.
        field: &'static str,
    },
}

/// The tasks about all records that have an answer.
///
/// # Errors
/// Records that have no judge, or not what it is to be asked.
pub fn tasks(records: &[ResultRecord]) -> Result<Tasks, TaskError> {
    let mut tasks = Tasks::default();
    let mut answers = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let sides = of_record(record).ok_or(TaskError::NoJudge { name: record.eval.name() })?;
        if record.eval.output.is_none() || !record.status.is_done() {
            continue;
        }
        match sides {
            [Side::Consistency] => answers.push(consistency(record)?),
            _ => tasks.add(place, record, question(record)?, sides),
        }
    }
    let places: HashMap<(&Option<String>, usize), usize> =
        records.iter().enumerate().map(|(place, record)| ((&record.eval.part, record.eval.row), place)).collect();
    let part = Some("Consistency".to_owned());
    let (pairs, alone) = pair(&answers);
    for pair in pairs {
        let [first, second] = pair.rows.map(|row| places[&(&part, row)]);
        tasks.second.insert(first, second);
        tasks.add(first, &records[first], pair.question, &[Side::Consistency]);
    }
    tasks.alone = alone.into_iter().map(|row| places[&(&part, row)]).collect();
    Ok(tasks)
}

/// The sides on which a record is judged, if it is.
pub fn of_record(record: &ResultRecord) -> Option<&'static [Side]> {
    sides(record.eval.benchmark?, record.eval.part.as_deref())
}

impl Tasks {
    fn add(&mut self, place: usize, record: &ResultRecord, question: Question, sides: &'static [Side]) {
        self.places.insert(record.id.clone(), place);
        self.all.push(Task { id: record.id.clone(), question, sides });
    }
}

fn field(record: &ResultRecord, field: &'static str) -> Result<String, TaskError> {
    let text = record.eval.record.get(field).and_then(|value| value.as_str()).map(str::to_owned);
    text.ok_or_else(|| TaskError::NoQuestion { id: record.id.clone(), field })
}

fn question(record: &ResultRecord) -> Result<Question, TaskError> {
    Ok(Question::One { question: field(record, "Q")?, answer: field(record, "A")?, prediction: field(record, "pred")? })
}

fn consistency(record: &ResultRecord) -> Result<ConsistencyAnswer, TaskError> {
    let is_second = record.eval.record.contains_key("Q2");
    let (question, prediction) = if is_second { ("Q2", "pred2") } else { ("Q1", "pred1") };
    Ok(ConsistencyAnswer {
        row: record.eval.row,
        video: field(record, "video_name")?,
        answer: field(record, "A")?,
        is_second,
        question: field(record, question)?,
        prediction: field(record, prediction)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::eval::results::record_of;

    fn of(row: usize, benchmark: &str, part: Value, handed: Value) -> ResultRecord {
        let mut record = record_of(row, json!({ "benchmark": benchmark, "part": part, "record": handed }));
        record.id = format!("{benchmark}/{row}");
        record
    }

    #[test]
    fn rows_are_tasks_and_pairs_are_one() {
        let one = |row, video: &str| {
            of(
                row,
                "videochatgpt",
                json!("Consistency"),
                json!({ "video_name": video, "Q1": "q", "A": "a", "pred1": "p" }),
            )
        };
        let two = |row, video: &str| {
            of(
                row,
                "videochatgpt",
                json!("Consistency"),
                json!({ "video_name": video, "Q2": "r", "A": "a", "pred2": "s" }),
            )
        };
        let generic = json!({ "video_name": "v", "Q": "q", "A": "a", "pred": "p" });
        let mut failed = of(5, "videochatgpt", json!("Generic"), json!({}));
        failed.eval.output = None;
        let records = [
            of(4, "videochatgpt", json!("Generic"), generic),
            one(0, "v"),
            one(1, "w"),
            two(2, "v"),
            two(3, "x"),
            failed,
        ];
        let found = tasks(&records).unwrap();
        let ids: Vec<_> = found.all.iter().map(|task| (task.id.as_str(), task.sides.len())).collect();
        assert_eq!(ids, [("videochatgpt/4", 3), ("videochatgpt/0", 1)]);
        assert_eq!((found.second, found.alone), (HashMap::from([(1, 3)]), vec![2, 4]));
    }

    #[test]
    fn what_has_no_judge_or_no_question_is_named() {
        let error = tasks(&[of(0, "nextqa", Value::Null, json!({}))]).unwrap_err();
        assert_eq!(error.to_string(), "nextqa has no judge: its answers are compared");
        let error = tasks(&[of(0, "videodc", Value::Null, json!({ "Q": "q" }))]).unwrap_err();
        assert_eq!(error.to_string(), "the record `videodc/0` does not hold `A` for the judge");
    }
}
