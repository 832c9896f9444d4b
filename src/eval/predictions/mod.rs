//! Predictions made elsewhere: read, put beside the rows that they are about, parsed and scored.

mod lines;

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::data::Data;
use super::parse::Draw;
use super::results::{Eval, ResultRecord, kind, row_id};
use super::score::{groups, score_row_of, video};
use super::{Benchmark, Harness, Row, Split};
use crate::batch::{Failure, Status};

pub use self::lines::{Prediction, PredictionError, Predictions, read};

/// How predictions are scored.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// The tree of the harness.
    pub harness: Harness,
    /// Which rows.
    pub split: Split,
    /// With it, answers that the harness draws at random are drawn, too; else they are none.
    pub draw: Option<Draw>,
}

impl Asked {
    /// Names these predictions, of which `bytes` are the file, scored in this way.
    pub fn digest(&self, bytes: &[u8]) -> String {
        let Self { benchmark, harness, split, draw } = self;
        let seed = draw.map(|draw| draw.seed().to_string()).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{benchmark}\n{harness}\n{split}\n{seed}\n").as_bytes()).update(bytes);
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

/// A record for each row of the data, in their order: scored, skipped where it has no prediction, or failed where the
/// row itself cannot be scored. `digest` names the predictions.
///
/// # Errors
/// A prediction for a row that is not in the data.
pub fn score(
    asked: Asked,
    data: &Data,
    predictions: &Predictions,
    digest: &str,
) -> Result<Vec<ResultRecord>, PredictionError> {
    let mut rows_of: HashMap<Option<&str>, usize> = HashMap::new();
    for row in &data.rows {
        *rows_of.entry(row.part.as_deref()).or_default() += 1;
    }
    for prediction in &predictions.all {
        let rows = rows_of.get(&prediction.part).copied().unwrap_or(0);
        if prediction.row >= rows {
            let (path, line) = (predictions.path.clone(), prediction.line);
            return Err(PredictionError::NoRow { path, line, row: prediction.row, part: prediction.part, rows });
        }
    }
    let outputs: HashMap<(Option<&str>, usize), &str> =
        predictions.all.iter().map(|one| ((one.part, one.row), one.output.as_str())).collect();
    let record = |row: &Row| {
        let part = row.part.as_deref();
        record(asked, row, outputs.get(&(part, row.row)).copied(), rows_of[&part], digest)
    };
    Ok(data.rows.iter().map(record).collect())
}

fn record(asked: Asked, row: &Row, output: Option<&str>, rows: usize, digest: &str) -> ResultRecord {
    let Asked { benchmark, harness, split, draw } = asked;
    let scored = output.map(|output| (output, score_row_of(split, benchmark, harness, row, output, draw)));
    let (status, error, eval) = match scored {
        Some((output, Ok(scored))) => (Status::Ok, None, Eval::of((benchmark, harness, split), &scored, output, rows)),
        Some((output, Err(wrong))) => {
            let eval = Eval { output: Some(output.to_owned()), ..bare(asked, row, rows) };
            (Status::Error, Some(Failure::new(kind::ROW, wrong.to_string(), false)), eval)
        }
        None => (Status::Skipped, None, bare(asked, row, rows)),
    };
    let mut rest = Map::new();
    let reason = (status == Status::Skipped).then_some("no prediction");
    rest.insert("reason".to_owned(), Value::from(reason));
    let mut eval = eval;
    eval.settings = settings(draw);
    let id = row_id(benchmark, row.part.as_deref(), row.row);
    ResultRecord { id, status, error, digest: digest.to_owned(), job: String::new(), rest, eval }
}

fn settings(draw: Option<Draw>) -> Map<String, Value> {
    Map::from_iter([("draw_seed".to_owned(), Value::from(draw.map(Draw::seed)))])
}

/// A row about which nothing is known but what the data says.
fn bare(asked: Asked, row: &Row, rows: usize) -> Eval {
    let Asked { benchmark, harness, split, .. } = asked;
    Eval {
        benchmark: Some(benchmark),
        harness: Some(harness),
        split,
        protocol: None,
        scoring: Default::default(),
        part: row.part.clone(),
        row: row.row,
        rows: Some(rows),
        video: video(benchmark, row).unwrap_or_default(),
        groups: groups(benchmark, row),
        length_secs: None,
        output: None,
        parsed: None,
        answer: None,
        drawn: None,
        gold: None,
        is_correct: None,
        value: None,
        record: Map::new(),
        settings: Map::new(),
        verdicts: Vec::new(),
        judged_with: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn data() -> Data {
        let row = |(row, answer): (usize, &str)| {
            let columns = json!({ "video": "x.mp4", "question": "Q", "candidates": ["a", "b"], "answer": answer });
            Row { row, part: Some("moving_count".to_owned()), columns: serde_json::from_value(columns).unwrap() }
        };
        Data { rows: ["a", "b", "c"].into_iter().enumerate().map(row).collect(), missing_parts: Vec::new() }
    }

    const ASKED: Asked =
        Asked { benchmark: Benchmark::MvBench, harness: Harness::Head, split: Split::Card, draw: None };

    fn scored(text: &str) -> Result<Vec<ResultRecord>, String> {
        let predictions = read(text.as_bytes(), Path::new("p"), Benchmark::MvBench, Some("moving_count"));
        score(ASKED, &data(), &predictions.map_err(|error| error.to_string())?, "d").map_err(|error| error.to_string())
    }

    #[test]
    fn every_row_has_a_record() {
        let records = scored("{\"row\": 2, \"output\": \"A\"}\n{\"row\": 0, \"output\": \"A.\"}\n").unwrap();
        let found: Vec<_> = records.iter().map(|record| (record.eval.row, record.status, record.eval.value)).collect();
        assert_eq!(found, [(0, Status::Ok, Some(1.0)), (1, Status::Skipped, None), (2, Status::Error, None)]);
        assert_eq!(
            (records[0].id.as_str(), &records[1].rest["reason"]),
            ("mvbench/moving_count/0", &json!("no prediction"))
        );
        let wrong = records[2].error.as_ref().unwrap();
        assert_eq!(wrong.message, "row 2: column `answer` is not one of the candidates");
    }

    #[test]
    fn rows_that_are_not_there_are_refused() {
        let error = scored("{\"row\": 3, \"output\": \"A\"}").unwrap_err();
        assert_eq!(error, "`p`, line 1: there is no row 3 of moving_count: the data has 3 rows");
    }
}
