//! One record: a row of a benchmark's data, what the model said of it, and what that is worth.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::verdict::SideVerdict;
use crate::batch::{Failure, Status};
use crate::eval::parse::Parsed;
use crate::eval::protocol::Protocol;
use crate::eval::score::Group;
use crate::eval::{Benchmark, Harness, Split};

/// Sorts of failure that an evaluation tells apart, beside those of a batch.
pub mod kind {
    /// There is no video.
    pub const NO_VIDEO: &str = "no-video";
    /// The row itself cannot be put or scored.
    pub const ROW: &str = "row";
}

/// A line of a file of results: the keys of a record of `batch`, and `eval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// Names the row among those of its run: the benchmark, the part where there are several, the row.
    pub id: String,
    /// What came of it.
    pub status: Status,
    /// Why there is no answer; only with [`Status::Error`].
    #[serde(default)]
    pub error: Option<Failure>,
    /// Tells runs apart: all records of one file that count have the same.
    pub digest: String,
    /// A hash of what was asked; empty where the answer was made elsewhere.
    #[serde(default)]
    pub job: String,
    /// What else a record of `batch` holds: `answers`, `frames`, `video`, `model`, `device`, `dtype`, `quantize` and
    /// more. Fewer keys or none where the answer was made elsewhere.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
    /// What the evaluation makes of it.
    pub eval: Eval,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// From the text that the model generates, as the harness does.
    #[default]
    Parse,
    /// By which of the options' letters the model finds likeliest.
    Logprob,
}

impl Scoring {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Logprob => "logprob",
        }
    }
}

impl fmt::Display for Scoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an evaluation makes of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// The benchmark; `None` for people's own questions.
    #[serde(with = "named_option")]
    pub benchmark: Option<Benchmark>,
    /// The tree of the harness; `None` for people's own questions.
    #[serde(default, with = "named_option")]
    pub harness: Option<Harness>,
    /// Which rows are meant.
    #[serde(default, with = "named")]
    pub split: Split,
    /// How it was run; `None` where the answer was made elsewhere.
    #[serde(default, with = "named_option")]
    pub protocol: Option<Protocol>,
    /// How the answer is read.
    #[serde(default)]
    pub scoring: Scoring,
    /// The part, where a benchmark has several.
    #[serde(default)]
    pub part: Option<String>,
    /// The place within the part, counted from 0.
    pub row: usize,
    /// How many rows the part has, so that a file says which are missing.
    #[serde(default)]
    pub rows: Option<usize>,
    /// What the row is about: rows of one video are right or wrong together.
    pub video: String,
    /// Its categories.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// How long the clip is, where that is known.
    #[serde(default)]
    pub length_secs: Option<f64>,
    /// The model's text; `None` where there is none.
    #[serde(default)]
    pub output: Option<String>,
    /// What the parser found in it.
    #[serde(default)]
    pub parsed: Option<Parsed>,
    /// The letter or text that counts as the answer.
    #[serde(default)]
    pub answer: Option<String>,
    /// The letter that was drawn where the parser found nothing and the harness draws.
    #[serde(default)]
    pub drawn: Option<char>,
    /// The right answer, where it is known.
    #[serde(default)]
    pub gold: Option<String>,
    /// Whether the answer is right; `None` where that is not known here.
    #[serde(default)]
    pub is_correct: Option<bool>,
    /// What the row adds to the figure, 0 or 1; `None` where it is not counted, or where a judge decides.
    #[serde(default)]
    pub value: Option<f64>,
    /// What the harness hands to its aggregate, with its names; to its judge, of a judged benchmark.
    #[serde(default)]
    pub record: Map<String, Value>,
    /// Every setting that the answer depends on, by its name.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What judges said; of a pair of rows only in its first.
    #[serde(default)]
    pub verdicts: Vec<SideVerdict>,
    /// The first row of its pair, whose verdict is about this one, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_with: Option<usize>,
}

impl Eval {
    /// The benchmark's name; `own` for people's own questions.
    pub fn name(&self) -> &'static str {
        self.benchmark.map_or("own", Benchmark::name)
    }
}

/// A value by its name.
mod named {
    use super::*;

    pub(super) fn serialize<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A value by its name, or null.
mod named_option {
    use super::*;

    pub(super) fn serialize<T: fmt::Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A record as a run writes it, with other keys of `eval` in place of its own.
    pub(crate) fn record(row: usize, eval: Value) -> ResultRecord {
        let mut value = json!({
            "id": format!("videomme/{row}"), "status": "ok", "error": null, "digest": "d", "job": "j", "shard": null,
            "answers": [{ "answer": "A" }], "model": "demo",
            "eval": {
                "benchmark": "videomme", "harness": "2024-09", "split": "card", "protocol": "card", "scoring": "parse",
                "part": null, "row": row, "rows": 3, "video": "v",
                "groups": [{ "dimension": "duration", "name": "short" }], "length_secs": 2.5, "output": "A",
                "parsed": { "kind": "letter", "value": "A" }, "answer": "A", "drawn": null, "gold": "A",
                "is_correct": true, "value": 1.0, "record": {}, "settings": { "frames": 110 }, "verdicts": [],
            },
        });
        let Value::Object(eval) = eval else { panic!("an object") };
        for (key, other) in eval {
            value["eval"][&key] = other;
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn records_are_written_as_they_are_read() {
        let first = record(0, json!({}));
        assert_eq!(
            (first.eval.benchmark, first.eval.parsed.clone()),
            (Some(Benchmark::VideoMme), Some(Parsed::Letter('A')))
        );
        assert_eq!((&first.rest["model"], first.rest.contains_key("eval")), (&json!("demo"), false));
        let text = serde_json::to_string(&first).unwrap();
        assert!(
            text.starts_with(r#"{"id":"videomme/0","status":"ok","#) && text.contains(r#""model":"demo","eval":{"#)
        );
        assert_eq!(serde_json::from_str::<ResultRecord>(&text).unwrap(), first);
        for parsed in [
            json!({ "kind": "text", "value": "a man" }),
            json!({ "kind": "nothing" }),
            json!({ "kind": "random", "value": 5 }),
        ] {
            let again = record(0, json!({ "parsed": parsed.clone(), "benchmark": null }));
            assert_eq!(
                (serde_json::to_value(&again).unwrap()["eval"]["parsed"].clone(), again.eval.name()),
                (parsed, "own")
            );
        }
    }

    #[test]
    fn a_record_of_predictions_made_elsewhere_says_less() {
        let text = r#"{"id":"mlvu/3","status":"ok","digest":"d","eval":{"benchmark":"mlvu","row":3,"video":"v"}}"#;
        let found: ResultRecord = serde_json::from_str(text).unwrap();
        assert_eq!((found.eval.protocol, found.eval.split, found.eval.value), (None, Split::Card, None));
        let wrong = text.replace("mlvu\",\"row", "mlvu_dev\",\"row");
        assert!(serde_json::from_str::<ResultRecord>(&wrong).unwrap_err().to_string().contains("expected one of"));
    }
}
