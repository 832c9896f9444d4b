//! A record's evaluation from a row that was scored.

use serde_json::Map;

use super::record::{Eval, Scoring};
use crate::eval::score::{Sample, Scored};
use crate::eval::{Benchmark, Harness, Split};

/// Names a row among those of a run: the benchmark, the part where there are several, the row.
pub fn row_id(benchmark: Benchmark, part: Option<&str>, row: usize) -> String {
    match part {
        Some(part) => format!("{benchmark}/{part}/{row}"),
        None => format!("{benchmark}/{row}"),
    }
}

impl Eval {
    /// What `scored` says of an output, of a part of `rows` rows. Protocol, settings and length are left open.
    pub fn of(
        (benchmark, harness, split): (Benchmark, Harness, Split),
        scored: &Scored,
        output: &str,
        rows: usize,
    ) -> Self {
        Self {
            benchmark: Some(benchmark),
            harness: Some(harness),
            split,
            protocol: None,
            scoring: Scoring::Parse,
            part: scored.part.clone(),
            row: scored.row,
            rows: Some(rows),
            video: scored.video.clone(),
            groups: scored.groups.clone(),
            length_secs: None,
            output: Some(output.to_owned()),
            parsed: Some(scored.parsed.clone()),
            answer: scored.answer(),
            drawn: scored.drawn,
            gold: scored.gold.clone(),
            is_correct: scored.is_correct,
            value: Sample::of(scored).and_then(|sample| sample.value),
            record: scored.record.clone(),
            settings: Map::new(),
            verdicts: Vec::new(),
            judged_with: None,
        }
    }
}
