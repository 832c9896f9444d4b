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
    Ok(Question::One {
        question: field(record, "Q")?,
        answer: field(record, "A")?,
        prediction: field(record, "pred")?,
    })
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
