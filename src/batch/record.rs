//! A record of the output: what came of one input, as one line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What came of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Answered.
    Ok,
    /// Answered, and an answer was cut off at its longest length or where the context was full.
    Truncated,
    /// Nothing was left to ask about.
    Skipped,
    /// Failed.
    Error,
}

impl Status {
    /// Whether there is nothing to do again.
    pub fn is_done(self) -> bool {
        self != Self::Error
    }
}

/// What every record holds beside its head, in this order; in the record of an input that was not answered, what
/// stands for nothing.
const BODY: [(&str, Nothing); 13] = [
    ("reason", Nothing::Null),
    ("answers", Nothing::Empty),
    ("windows", Nothing::Empty),
    ("frames", Nothing::Empty),
    ("video", Nothing::Null),
    ("pictures", Nothing::Empty),
    ("warnings", Nothing::Empty),
    ("model", Nothing::Null),
    ("device", Nothing::Null),
    ("dtype", Nothing::Null),
    ("kernels", Nothing::Null),
    ("quantize", Nothing::Null),
    ("meta", Nothing::Null),
];

/// How a key says that there is nothing.
#[derive(Debug, Clone, Copy)]
enum Nothing {
    Null,
    /// A list without entries.
    Empty,
}

/// The sort of failure that a signal is.
pub(super) const INTERRUPTED: &str = "interrupted";

/// Why an input failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which sort of failure, in one word.
    pub kind: String,
    /// What failed, for people.
    pub message: String,
    /// Whether the same input may succeed at another time: a time-out, memory or disk that was full.
    pub retryable: bool,
}

impl Failure {
    /// A failure of a sort, in words.
    pub fn new(kind: &str, message: impl Into<String>, retryable: bool) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), retryable }
    }

    /// Whether a signal ended the work: what it was about is not done, and has not failed.
    pub fn is_interrupt(&self) -> bool {
        self.kind == INTERRUPTED
    }
}

/// Which of several runs a record belongs to: its digest, and its share of the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Of the model, the arithmetic and the options.
    pub digest: String,
    /// Where the inputs are divided.
    pub shard: Option<super::shard::Shard>,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The input's.
    pub id: String,
    /// The input's [`digest`](super::Job::digest).
    pub job: String,
    /// What came of it.
    pub status: Status,
    /// Why it failed; only with [`Status::Error`].
    pub failure: Option<Failure>,
    /// Answers, and everything that led to them.
    pub body: Map<String, Value>,
}

impl Record {
    /// One line, its newline included.
    pub fn line(&self, run: &Run) -> String {
        format!("{}\n", self.value(run))
    }

    /// The record as it is written, with every key whatever came of the input.
    pub fn value(&self, run: &Run) -> Value {
        let mut object = json!({
            "id": self.id,
            "status": self.status,
            "error": self.failure,
            "digest": run.digest,
            "job": self.job,
            "shard": run.shard.map(|shard| shard.to_string()),
        });
        let Value::Object(keys) = &mut object else { unreachable!("it was made as one") };
        for (key, nothing) in BODY {
            let value = self.body.get(key).cloned().unwrap_or_else(|| match nothing {
                Nothing::Null => Value::Null,
                Nothing::Empty => Value::Array(Vec::new()),
            });
            keys.insert(key.to_owned(), value);
        }
        for (key, value) in &self.body {
            keys.entry(key).or_insert_with(|| value.clone());
        }
        object
    }
}

/// What is read again of a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The input's.
    pub id: String,
    /// What came of it.
    pub status: Status,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Failure>,
    /// The run's.
    pub digest: String,
    /// The input's digest.
    pub job: String,
    /// The shard, as `k/n`.
    #[serde(default)]
    pub shard: Option<super::shard::Shard>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_the_same_keys_in_the_same_order() {
        let run = Run { digest: "d".to_owned(), shard: None };
        let record = |body: Value| {
            let Value::Object(body) = body else { panic!("an object") };
            let record = Record { id: "a".to_owned(), job: String::new(), status: Status::Ok, failure: None, body };
            record.value(&run)
        };
        let keys = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (bare, whole) = (record(json!({})), record(json!({ "meta": { "a": 1 }, "answers": [1], "reason": "r" })));
        assert_eq!(keys(&bare), keys(&whole));
        assert_eq!((&bare["answers"], &bare["reason"], &bare["meta"]), (&json!([]), &Value::Null, &Value::Null));
        assert_eq!((&whole["answers"], &whole["reason"]), (&json!([1]), &json!("r")));
        let more = record(json!({ "new": 1 }));
        assert_eq!(keys(&more).last().map(String::as_str), Some("new"));
    }
}
