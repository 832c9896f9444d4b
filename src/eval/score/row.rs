//! The score of one row.

use serde_json::Map;

use super::gold::gold;
use super::groups::{groups, video};
use super::record::record;
use super::scored::Scored;
use crate::eval::parse::{Draw, parse};
use crate::eval::python::strip;
use crate::eval::{BadColumn, Benchmark, Harness, Row};

/// Parses and scores an output. Without `draw`, an answer that the harness would draw is none, and wrong.
///
/// # Errors
/// A column is not as it should be; also where MVBench's answer is none of its candidates.
pub fn score_row(
    benchmark: Benchmark,
    harness: Harness,
    row: &Row,
    output: &str,
    draw: Option<Draw>,
) -> Result<Scored, BadColumn> {
    let output = strip(output);
    let parsed = parse(benchmark, harness, row, output)?;
    let mut scored = Scored {
        row: row.row,
        part: row.part.clone(),
        video: video(benchmark, row)?,
        drawn: draw.and_then(|draw| draw.letter(benchmark, row, &parsed)),
        parsed,
        gold: gold(benchmark, row)?,
        is_correct: None,
        is_counted: benchmark != Benchmark::MvBench || !output.is_empty(),
        groups: groups(benchmark, row),
        record: Map::new(),
    };
    scored.is_correct = scored.gold.as_ref().map(|gold| scored.answer().as_ref() == Some(gold));
    scored.record = record(benchmark, harness, row, output, &scored)?;
    Ok(scored)
}
