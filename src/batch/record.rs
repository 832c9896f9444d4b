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
        let mut object = json!({
            "id": self.id,
            "status": self.status,
            "error": self.failure,
            "digest": run.digest,
            "job": self.job,
            "shard": run.shard.map(|shard| shard.to_string()),
        });
        if let Value::Object(object) = &mut object {
            object.extend(self.body.clone());
        }
        format!("{object}\n")
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
