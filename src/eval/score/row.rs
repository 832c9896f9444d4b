//! The score of one row.

use serde_json::Map;

use super::gold::gold;
use super::groups::{groups, video};
use super::record::record;
use super::scored::Scored;
use super::submission;
use crate::eval::parse::{Draw, parse};
use crate::eval::python::strip;
use crate::eval::{BadColumn, Benchmark, Harness, Row, Split};

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
    let mut scored = parsed(benchmark, harness, row, output, draw)?;
    scored.gold = gold(benchmark, row)?;
    scored.is_correct = scored.gold.as_ref().map(|gold| scored.answer().as_ref() == Some(gold));
    scored.record = record(benchmark, harness, row, output, &scored)?;
    Ok(scored)
}

/// As [`score_row`], of any split: where only a server knows the answers, the record is the line of the file that goes
/// there, and nothing is right or wrong.
///
/// # Errors
/// As [`score_row`].
pub fn score_row_of(
    split: Split,
    benchmark: Benchmark,
    harness: Harness,
    row: &Row,
    output: &str,
    draw: Option<Draw>,
) -> Result<Scored, BadColumn> {
    let line = match (benchmark, split) {
        (Benchmark::PerceptionTest, Split::Test) => submission::perceptiontest_record(row, output)?,
        (Benchmark::LongVideoBench, Split::Test) => submission::longvideobench_record(harness, row, output)?,
        _ => return score_row(benchmark, harness, row, output, draw),
    };
    // What goes to the server is not parsed as the rows behind the card's number are.
    Ok(Scored { record: line, ..parsed(benchmark, harness, row, strip(output), None)? })
}

/// What the parser finds; nothing is compared yet.
fn parsed(
    benchmark: Benchmark,
    harness: Harness,
    row: &Row,
    output: &str,
    draw: Option<Draw>,
) -> Result<Scored, BadColumn> {
    let parsed = parse(benchmark, harness, row, output)?;
    Ok(Scored {
        row: row.row,
        part: row.part.clone(),
        video: video(benchmark, row)?,
        drawn: draw.and_then(|draw| draw.letter(benchmark, row, &parsed)),
        parsed,
        gold: None,
        is_correct: None,
        is_counted: benchmark != Benchmark::MvBench || !output.is_empty(),
        groups: groups(benchmark, row),
        record: Map::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(columns: serde_json::Value) -> Row {
        Row { row: 0, part: None, columns: serde_json::from_value(columns).unwrap() }
    }

    #[test]
    fn rows_of_a_server_are_lines_of_its_file() {
        let columns = json!({ "video_name": "v", "question": "Q", "question_id": 3, "options": ["x", "y", "z"] });
        let scored =
            score_row_of(Split::Test, Benchmark::PerceptionTest, Harness::default(), &row(columns), "B", None).unwrap();
        assert_eq!((scored.gold, scored.is_correct), (None, None));
        assert_eq!(serde_json::Value::from(scored.record)["pred_id"], 1);
        let columns = json!({ "video_id": "v", "id": "v_0", "option0": "x", "option1": "N/A", "option2": "N/A",
            "option3": "N/A", "option4": "N/A" });
        let of = |harness| {
            let row = row(columns.clone());
            score_row_of(Split::Test, Benchmark::LongVideoBench, harness, &row, " (A) x ", None).unwrap().record
        };
        assert_eq!(json!(of(Harness::default())), json!({ "v": "(A) x" }));
        assert_eq!(json!(of(Harness::Head)), json!({ "v_0": "(A) x" }));
    }
}
