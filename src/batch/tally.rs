//! What came of a batch, in numbers: counts, rates, and answers that are always the same.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::answered;
use super::record::{Record, Status};
use crate::size::counted;

/// Of so many different answers it is known how often they occur; they take 16 bytes each.
const MAX_DISTINCT: usize = 1 << 20;
/// So much of an answer is shown to people.
const SHOWN_CHARS: usize = 40;

/// How many records have each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// See [`Status::Ok`].
    pub ok: usize,
    /// See [`Status::Truncated`].
    pub truncated: usize,
    /// See [`Status::Skipped`].
    pub skipped: usize,
    /// See [`Status::Error`].
    pub error: usize,
}

/// Counts of the records of one process.
#[derive(Debug, Default)]
pub struct Tally {
    records: Counts,
    errors: BTreeMap<String, usize>,
    tokens: u64,
    answers: Repeats,
}

/// How often each answer occurs, by its hash: the texts themselves could be more than fits in memory.
#[derive(Debug, Default)]
struct Repeats {
    counts: HashMap<u64, usize>,
    total: usize,
    /// Those that occur more than once, each time counted.
    repeated: usize,
    most_frequent: Option<(String, usize)>,
}

/// Answers that occur more than once. Of those that come after a million different ones, only these are known again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Identical {
    /// How many answers there are.
    pub answered: usize,
    /// How many of them have the same text as another.
    pub repeated: usize,
    /// The text that most of these have.
    pub most_frequent: Option<String>,
    /// How often it occurs.
    pub most_frequent_count: usize,
}

/// What came of a batch. With a resumed batch, of this process only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many records have each status.
    pub records: Counts,
    /// All of them.
    pub total: usize,
    /// Inputs that were done before this process began.
    pub done_before: usize,
    /// Failures by their kind.
    pub errors: BTreeMap<String, usize>,
    /// Answers that are the same.
    pub identical: Identical,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// From the first clip to the last record.
    pub wall_secs: f64,
    /// While the model was computing.
    pub busy_secs: f64,
    /// Their share, from 0 to 1.
    pub busy_share: f64,
    /// Records a second.
    pub clips_per_sec: f64,
    /// Tokens of answers a second.
    pub tokens_per_sec: f64,
}

impl Tally {
    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        *match record.status {
            Status::Ok => &mut self.records.ok,
            Status::Truncated => &mut self.records.truncated,
            Status::Skipped => &mut self.records.skipped,
            Status::Error => &mut self.records.error,
        } += 1;
        if let Some(failure) = &record.failure {
            *self.errors.entry(failure.kind.clone()).or_default() += 1;
        }
        for (text, tokens) in answered::all(&record.body) {
            self.tokens += tokens;
            self.answers.add(text);
        }
    }

    /// How many records failed.
    pub fn failed(&self) -> usize {
        self.records.error
    }

    /// How many records there are.
    pub fn total(&self) -> usize {
        let Counts { ok, truncated, skipped, error } = self.records;
        ok + truncated + skipped + error
    }

    /// The numbers after `wall` time, for the part `busy` of which the model was computing.
    pub fn summary(&self, done_before: usize, wall: Duration, busy: Duration) -> Summary {
        let (wall_secs, busy_secs) = (wall.as_secs_f64(), busy.as_secs_f64());
        let rate = |amount: f64| if wall_secs > 0.0 { amount / wall_secs } else { 0.0 };
        Summary {
            records: self.records,
            total: self.total(),
            done_before,
            errors: self.errors.clone(),
            identical: self.answers.identical(),
            completion_tokens: self.tokens,
            wall_secs,
            busy_secs,
            busy_share: rate(busy_secs),
            clips_per_sec: rate(self.total() as f64),
            tokens_per_sec: rate(self.tokens as f64),
        }
    }
}

impl Repeats {
    fn add(&mut self, text: &str) {
        self.total += 1;
        let hash = blake3::hash(text.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
        let (hash, is_full) = (u64::from_le_bytes(*first), self.counts.len() >= MAX_DISTINCT);
        if is_full && !self.counts.contains_key(&hash) {
            return;
        }
        let count = self.counts.entry(hash).or_default();
        *count += 1;
        self.repeated += match *count {
            1 => return,
            2 => 2,
            _ => 1,
        };
        match &mut self.most_frequent {
            Some((most, most_count)) if *count > *most_count => {
                *most_count = *count;
                if most != text {
                    text.clone_into(most);
                }
            }
            Some(_) => {}
            none => *none = Some((text.to_owned(), *count)),
        }
    }

    fn identical(&self) -> Identical {
        Identical {
            answered: self.total,
            repeated: self.repeated,
            most_frequent: self.most_frequent.as_ref().map(|(text, _)| text.clone()),
            most_frequent_count: self.most_frequent.as_ref().map_or(0, |&(_, count)| count),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total == 0 {
            return write!(f, "nothing was left to do ({} done before)", self.done_before);
        }
        let Counts { ok, truncated, skipped, error } = self.records;
        write!(f, "{}: {ok} ok", counted(self.total, "input"))?;
        for (count, name) in [(truncated, "truncated"), (skipped, "skipped"), (error, "failed")] {
            if count > 0 {
                write!(f, ", {count} {name}")?;
            }
        }
        if self.done_before > 0 {
            write!(f, " ({} done before)", self.done_before)?;
        }
        let (clips, tokens, busy) = (self.clips_per_sec, self.tokens_per_sec, 100.0 * self.busy_share);
        write!(f, "; {:.1} s, {clips:.2} clips/s, {tokens:.1} tokens/s, model busy {busy:.0} %", self.wall_secs)?;
        let Identical { answered, repeated, most_frequent: Some(text), most_frequent_count: count } = &self.identical
        else {
            return Ok(());
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = line.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < line.len() { "..." } else { "" };
        write!(
            f,
            "; {repeated} of {} occur more than once, \"{shown}{more}\" {count} times",
            counted(*answered, "answer")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::record::Failure;
    use super::*;

    fn record(status: Status, body: Value) -> Record {
        let failure = (status == Status::Error).then(|| Failure {
            kind: "decode".to_owned(),
            message: String::new(),
            retryable: false,
        });
        let Value::Object(body) = body else { panic!("an object") };
        Record { id: String::new(), job: String::new(), status, failure, body }
    }

    fn answered(texts: &[&str]) -> Value {
        let answers = texts.iter().map(|text| json!({ "answer": text, "completion_tokens": 5 }));
        json!({ "answers": answers.collect::<Vec<_>>() })
    }

    #[test]
    fn records_are_counted_and_said_on_one_line() {
        let mut tally = Tally::default();
        tally.add(&record(Status::Ok, answered(&["a\nman", "b"])));
        tally.add(&record(Status::Truncated, answered(&["a\nman"])));
        tally.add(&record(Status::Ok, json!({ "windows": [answered(&["b"]), answered(&["a\nman"])] })));
        tally.add(&record(Status::Skipped, json!({})));
        tally.add(&record(Status::Error, json!({ "answers": null })));
        assert_eq!((tally.failed(), tally.total()), (1, 5));
        let summary = tally.summary(7, Duration::from_secs(10), Duration::from_secs(9));
        let identical =
            Identical { answered: 5, repeated: 5, most_frequent: Some("a\nman".to_owned()), most_frequent_count: 3 };
        assert_eq!((&summary.identical, summary.completion_tokens), (&identical, 25));
        assert_eq!((summary.busy_share, summary.clips_per_sec, summary.tokens_per_sec), (0.9, 0.5, 2.5));
        assert_eq!(
            summary.to_string(),
            "5 inputs: 2 ok, 1 truncated, 1 skipped, 1 failed (7 done before); 10.0 s, 0.50 clips/s, 2.5 tokens/s, \
             model busy 90 %; 5 of 5 answers occur more than once, \"a man\" 3 times"
        );
        let written = serde_json::to_value(&summary).unwrap();
        assert_eq!((&written["errors"], &written["identical"]["repeated"]), (&json!({ "decode": 1 }), &json!(5)));
    }

    #[test]
    fn a_batch_of_nothing_has_no_rates() {
        let summary = Tally::default().summary(0, Duration::ZERO, Duration::ZERO);
        assert_eq!(summary.to_string(), "nothing was left to do (0 done before)");
    }

    proptest::proptest! {
        #[test]
        fn repeats_are_counted_as_by_hand(texts in proptest::collection::vec("[ab]{0,3}", 0..60)) {
            let mut repeats = Repeats::default();
            let mut by_hand = BTreeMap::<&str, usize>::new();
            for text in &texts {
                repeats.add(text);
                *by_hand.entry(text).or_default() += 1;
            }
            let Identical { answered, repeated, most_frequent, most_frequent_count } = repeats.identical();
            let most = by_hand.values().copied().filter(|&count| count > 1).max().unwrap_or(0);
            proptest::prop_assert_eq!((answered, most_frequent_count), (texts.len(), most));
            proptest::prop_assert_eq!(repeated, by_hand.values().filter(|&&count| count > 1).sum::<usize>());
            proptest::prop_assert_eq!(most_frequent.map_or(0, |text| by_hand[text.as_str()]), most);
        }
    }
}
