//! The harness's attempts at a question: which failures it tries again, after how long, and where it gives up.

use std::time::Duration;

use serde_json::Value;

use super::messages::Side;
use crate::eval::python::strip;

/// Attempts that the harness makes.
const ATTEMPTS: u32 = 5;

/// The harness's pause between them.
const PAUSE: Duration = Duration::from_secs(5);

/// The pause is not doubled past this.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// At these words VideoDC's judge gives up.
const REPETITIVE: &str = "Sorry! We've encountered an issue with repetitive patterns in your prompt. Please try again \
                          with a different prompt.";

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// No whole answer came: no connection, no time, a body that was cut.
    NoAnswer,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// A reply.
    Reply(String),
    /// A status of failure, a reply without text, or JSON of another shape.
    Failure,
    /// A body that is no JSON, with a good status.
    NotJson,
}

impl Attempt {
    pub(super) fn held(&self) -> Held {
        let Self::Answer { status, body } = self else { return Held::Failure };
        if (400..600).contains(status) {
            return Held::Failure;
        }
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Held::NotJson };
        let reply = value.pointer("/choices/0/message/content").and_then(Value::as_str).map(strip);
        match reply {
            // The harness reads the model's name too.
            Some(reply) if !reply.is_empty() && value.get("model").is_some() => Held::Reply(reply.to_owned()),
            _ => Held::Failure,
        }
    }
}

/// How failures are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// As the harness takes them: five attempts, five seconds apart; VideoDC gives up at the first failure that its
    /// server does not explain. Servers that ask for a longer pause get it.
    AsHarness,
    /// The same for all, with a pause that doubles; what fails to the end has no verdict, and may be asked again.
    Patient {
        /// Attempts at a question.
        attempts: u32,
        /// The first pause.
        pause: Duration,
    },
}

/// What the attempts at a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A reply.
    Reply(String),
    /// The harness goes on with an empty reply.
    NoReply,
    /// The harness goes on with its verdict for failures.
    Failed,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another attempt after a pause.
    Again {
        /// The pause; the harness makes none after a body that is no JSON.
        pause: Duration,
    },
    /// Nothing.
    Done(Outcome),
}

/// The attempts at one question.
#[derive(Debug, Clone)]
pub struct Retry {
    side: Side,
    persistence: Persistence,
    attempts: u32,
    /// The body of the last answer, to which VideoDC's judge looks back.
    body: Option<Vec<u8>>,
}

impl Retry {
    /// No attempt yet.
    pub fn new(side: Side, persistence: Persistence) -> Self {
        Self { side, persistence, attempts: 0, body: None }
    }

    /// Attempts made.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What comes after an attempt. `retry_after` is the pause that the server asks for.
    pub fn after(&mut self, attempt: Attempt, retry_after: Option<Duration>) -> Step {
        self.attempts += 1;
        let held = attempt.held();
        if let Attempt::Answer { body, .. } = attempt {
            self.body = Some(body);
        }
        if let Held::Reply(reply) = held {
            return Step::Done(Outcome::Reply(reply));
        }
        let step = match self.persistence {
            Persistence::AsHarness => self.as_harness(&held),
            Persistence::Patient { attempts, .. } if self.attempts >= attempts => Step::Done(Outcome::Failed),
            Persistence::Patient { pause, .. } => {
                let doubled = pause.saturating_mul(1 << (self.attempts - 1).min(16)).min(MAX_PAUSE.max(pause));
                Step::Again { pause: doubled }
            }
        };
        match step {
            Step::Again { pause } => Step::Again { pause: pause.max(retry_after.unwrap_or_default()) },
            done => done,
        }
    }

    fn as_harness(&self, held: &Held) -> Step {
        let is_last = self.attempts >= ATTEMPTS;
        if *held == Held::NotJson {
            return if is_last { Step::Done(Outcome::NoReply) } else { Step::Again { pause: Duration::ZERO } };
        }
        match (self.side, is_last) {
            (Side::VideoDc, _) => match self.explanation() {
                None => Step::Done(Outcome::Failed),
                Some(words) if is_last || words.contains(REPETITIVE) => Step::Done(Outcome::NoReply),
                Some(_) => Step::Again { pause: PAUSE },
            },
            // The harness stumbles over a name that it has not bound, into its verdict for failures.
            (_, true) => Step::Done(Outcome::Failed),
            (_, false) => Step::Again { pause: PAUSE },
        }
    }

    /// The server's words about the last failure that it answered to.
    fn explanation(&self) -> Option<String> {
        let value: Value = serde_json::from_slice(self.body.as_deref()?).ok()?;
        Some(value.pointer("/error/message")?.as_str()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Attempt {
        Attempt::Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn patience_doubles_and_minds_the_server() {
        let patient = Persistence::Patient { attempts: 4, pause: Duration::from_secs(2) };
        let mut retry = Retry::new(Side::VideoDc, patient);
        let pause = |secs| Step::Again { pause: Duration::from_secs(secs) };
        assert_eq!(retry.after(Attempt::NoAnswer, None), pause(2));
        assert_eq!(retry.after(answer(429, "{}"), Some(Duration::from_secs(60))), pause(60));
        assert_eq!(retry.after(answer(200, "not json"), Some(Duration::from_secs(1))), pause(8));
        assert_eq!(retry.after(answer(500, ""), None), Step::Done(Outcome::Failed));
        assert_eq!(retry.attempts(), 4);
        let mut long = Retry::new(Side::Context, Persistence::Patient { attempts: 100, pause: Duration::from_secs(2) });
        let pauses: Vec<Step> = (0..99).map(|_| long.after(Attempt::NoAnswer, None)).collect();
        assert_eq!((&pauses[6], &pauses[98]), (&pause(128), &pause(300)));
    }

    #[test]
    fn replies_need_all_that_the_harness_reads() {
        let good = r#"{"choices": [{"message": {"content": " {} \n"}}], "model": "m"}"#;
        assert_eq!(answer(200, good).held(), Held::Reply("{}".to_owned()));
        for odd in [
            r#"{"choices": [{"message": {"content": "{}"}}]}"#,
            r#"{"choices": [{"message": {"content": null}}], "model": "m"}"#,
            r#"{"choices": [], "model": "m"}"#,
            r#"{"choices": [{"message": {"content": " "}}], "model": "m"}"#,
            "[]",
        ] {
            assert_eq!(answer(200, odd).held(), Held::Failure, "{odd}");
        }
        assert_eq!(answer(500, good).held(), Held::Failure);
        assert_eq!(answer(200, "{").held(), Held::NotJson);
    }

    #[test]
    fn a_failure_without_words_ends_videodc() {
        let mut retry = Retry::new(Side::VideoDc, Persistence::AsHarness);
        let said = r#"{"error": {"message": "rate"}}"#;
        assert_eq!(retry.after(answer(429, said), None), Step::Again { pause: PAUSE });
        // No answer: the harness looks at the one before.
        assert_eq!(retry.after(Attempt::NoAnswer, None), Step::Again { pause: PAUSE });
        assert_eq!(retry.after(answer(200, "not json"), None), Step::Again { pause: Duration::ZERO });
        assert_eq!(retry.after(Attempt::NoAnswer, None), Step::Done(Outcome::Failed));
    }
}
