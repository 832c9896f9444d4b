//! What a judge's reply means.

use serde_json::{Map, Value};

use super::literal::{Literal, literal};
use super::messages::Side;
use super::retry::Outcome;

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// ActivityNet-QA: `yes`, `no`, or what else the judge says.
    pub correctness: Option<String>,
    /// The score as a whole number, of any size: the harness does not clamp it.
    pub score: i64,
}

impl Verdict {
    /// The fields that the harness's aggregates read.
    pub fn record(&self) -> Map<String, Value> {
        let correctness = self.correctness.iter().map(|said| ("Correctness".to_owned(), said.as_str().into()));
        correctness.chain([("score".to_owned(), self.score.into())]).collect()
    }
}

/// At this the harness ends its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the judge's reply cannot be read, at which the harness ends its run")]
pub struct VerdictError;

/// Reads a reply about ActivityNet-QA: the dictionary from the first brace to the next one. `None` where that fails.
pub fn read_activitynetqa(reply: &str) -> Option<Verdict> {
    let (_, rest) = reply.split_once('{')?;
    let inner = rest.split(['{', '}']).next().unwrap_or_default();
    let found = literal(&format!("{{{inner}}}"))?;
    let score = found.get("score")?.int()?;
    let Literal::Text(said) = found.get("pred")? else { return None };
    let lower = said.to_lowercase();
    let correctness = match (lower.contains("yes"), lower.contains("no")) {
        (true, _) => "yes".to_owned(),
        (false, true) => "no".to_owned(),
        (false, false) => said.clone(),
    };
    Some(Verdict { correctness: Some(correctness), score })
}

/// Reads a reply of one score: the whole has to be a dictionary. What fails is 0, and so is a dictionary without score.
pub fn read_score(reply: &str) -> i64 {
    literal(reply).and_then(|found| found.get("score")?.int()).unwrap_or(0)
}

/// What the harness makes of the end of a question's attempts.
///
/// # Errors
/// The harness would end here: ActivityNet-QA's reply cannot be read, or five bodies were no JSON.
pub fn verdict(side: Side, outcome: &Outcome) -> Result<Verdict, VerdictError> {
    let reply = match outcome {
        Outcome::Reply(reply) => reply.as_str(),
        Outcome::NoReply => "",
        Outcome::Failed => {
            let correctness = (side == Side::ActivityNetQa).then(|| "no".to_owned());
            return Ok(Verdict { correctness, score: 0 });
        }
    };
    match side {
        Side::ActivityNetQa => read_activitynetqa(reply).ok_or(VerdictError),
        _ => Ok(Verdict { correctness: None, score: read_score(reply) }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_brace_ends_the_dictionary_whichever_it_is() {
        let read = |reply| read_activitynetqa(reply).map(|verdict| (verdict.correctness.unwrap(), verdict.score));
        assert_eq!(read("{'pred': 'Yes', 'score': '3' {x}"), Some(("yes".to_owned(), 3)));
        assert_eq!(read("{{'pred': 'yes', 'score': 5}}"), None);
        assert_eq!(read("{'pred': 'I know', 'score': 2} {'pred': 'yes', 'score': 5}"), Some(("no".to_owned(), 2)));
        assert_eq!(read("{'pred': b'yes', 'score': 2}"), None);
        assert_eq!(read("{5}"), None);
        assert_eq!(read("no braces"), None);
    }

    #[test]
    fn verdicts_are_records_of_the_harness() {
        let text = |reply| serde_json::to_string(&read_activitynetqa(reply).unwrap().record()).unwrap();
        assert_eq!(text("{'pred': 'no', 'score': 2}"), r#"{"Correctness":"no","score":2}"#);
        let score = Verdict { correctness: None, score: 3 };
        assert_eq!(serde_json::to_string(&score.record()).unwrap(), r#"{"score":3}"#);
    }

    #[test]
    fn failures_become_what_the_harness_makes_of_them() {
        let no = Verdict { correctness: Some("no".to_owned()), score: 0 };
        assert_eq!(verdict(Side::ActivityNetQa, &Outcome::Failed), Ok(no));
        assert_eq!(verdict(Side::ActivityNetQa, &Outcome::NoReply), Err(VerdictError));
        for outcome in [Outcome::Failed, Outcome::NoReply, Outcome::Reply("x".to_owned())] {
            assert_eq!(verdict(Side::VideoDc, &outcome), Ok(Verdict { correctness: None, score: 0 }));
        }
    }

    proptest! {
        #[test]
        fn no_reply_is_too_odd(reply in any::<String>(), inner in "[a-z0-9'\": ,{}.\\\\-]{0,30}") {
            for reply in [reply, format!("{{'pred': 'yes', 'score': {inner}"), inner] {
                let _ = read_score(&reply);
                if let Some(verdict) = read_activitynetqa(&reply) {
                    prop_assert!(verdict.correctness.is_some());
                }
            }
        }
    }
}
