//! The pairs of VideoChatGPT's consistency part, as the harness finds them among its records.

use serde_json::{Map, Value, json};

use super::messages::Question;
use crate::eval::python::strip;
use crate::eval::{BadColumn, Row};

/// One answer of the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyAnswer {
    /// The row.
    pub row: usize,
    /// Its video.
    pub video: String,
    /// The right answer.
    pub answer: String,
    /// Whether it answers the second question of its pair.
    pub is_second: bool,
    /// The question.
    pub question: String,
    /// What was answered.
    pub prediction: String,
}

impl ConsistencyAnswer {
    /// The answer of a row. The data says `None` in words where a question is not there.
    ///
    /// # Errors
    /// A column is not text.
    pub fn of(row: &Row, output: &str) -> Result<Self, BadColumn> {
        let is_second = row.text("question_1")? == "None";
        Ok(Self {
            row: row.row,
            video: row.text("video_name")?.to_owned(),
            answer: row.text("answer")?.to_owned(),
            is_second,
            question: row.text(if is_second { "question_2" } else { "question_1" })?.to_owned(),
            prediction: strip(output).to_owned(),
        })
    }
}

/// Two answers about one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyPair {
    /// The rows.
    pub rows: [usize; 2],
    /// What goes to the judge.
    pub question: Question,
    /// The video.
    pub video: String,
    /// The record of the pair, as the harness writes it.
    pub record: Map<String, Value>,
}

/// Pairs each answer with the next unpaired one about the same video; the rows that stay alone are in no pair.
///
/// The second question and answer of a pair are those of its second record, even where that holds a first question:
/// then they are null, and `None` to the judge. Those of a first record that holds a second question are lost. With
/// answers in the order of the file neither happens.
pub fn pair(answers: &[ConsistencyAnswer]) -> (Vec<ConsistencyPair>, Vec<usize>) {
    let mut is_paired = vec![false; answers.len()];
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for (index, first) in answers.iter().enumerate() {
        if is_paired[index] {
            continue;
        }
        let rest = answers.iter().enumerate().skip(index + 1);
        let next = rest.filter(|(other, _)| !is_paired[*other]).find(|(_, other)| other.video == first.video);
        let Some((other, second)) = next else {
            alone.push(first.row);
            continue;
        };
        is_paired[index] = true;
        is_paired[other] = true;
        pairs.push(joined(first, second));
    }
    (pairs, alone)
}

fn joined(first: &ConsistencyAnswer, second: &ConsistencyAnswer) -> ConsistencyPair {
    let of_second = |text: &str| second.is_second.then(|| text.to_owned());
    let (question, prediction) = (of_second(&second.question), of_second(&second.prediction));
    let fields = match first.is_second {
        false => json!({
            "video_name": first.video, "Q1": first.question, "A": first.answer, "pred1": first.prediction,
            "Q2": question, "pred2": prediction,
        }),
        true => json!({ "video_name": first.video, "Q2": question, "A": first.answer, "pred2": prediction }),
    };
    let record = match fields {
        Value::Object(record) => record,
        _ => unreachable!("both are objects"),
    };
    let of_first = |text: &str| Some(if first.is_second { String::new() } else { text.to_owned() });
    let question = Question::Two {
        questions: [of_first(&first.question), question],
        answer: first.answer.clone(),
        predictions: [of_first(&first.prediction), prediction],
    };
    ConsistencyPair { rows: [first.row, second.row], question, video: first.video.clone(), record }
}
