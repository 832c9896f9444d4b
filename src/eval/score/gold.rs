//! The right answer of a row, as the harness compares it.

use serde_json::Value;

use crate::eval::python::strip;
use crate::eval::{BadColumn, Benchmark, Row};

/// The letter or text that is right; `None` where only a server knows it, or a judge decides.
///
/// # Errors
/// The column is not as it should be. MVBench's harness crashes where no candidate is the answer; here the row is
/// refused.
pub(super) fn gold(benchmark: Benchmark, row: &Row) -> Result<Option<String>, BadColumn> {
    Ok(Some(match benchmark {
        Benchmark::ActivityNetQa | Benchmark::VideoChatGpt | Benchmark::VideoDc | Benchmark::EgoSchema => {
            return Ok(None);
        }
        Benchmark::EgoSchemaSubset => letter(row, "answer", 5)?.into(),
        Benchmark::NextQa => letter(row, "answer", 5)?.into(),
        Benchmark::PerceptionTest => letter(row, "answer_id", 26)?.into(),
        Benchmark::LongVideoBench => letter(row, "correct_choice", 26)?.into(),
        Benchmark::Mlvu | Benchmark::VideoMme => row.text("answer")?.to_owned(),
        Benchmark::MvBench => {
            let answer = row.text("answer")?;
            let place = row.texts("candidates")?.iter().position(|&candidate| candidate == answer);
            let letter = place.and_then(|place| ('A'..='Z').nth(place));
            letter.ok_or_else(|| row.bad("answer", "one of the candidates"))?.into()
        }
    }))
}

/// The letter of an index, which publishers write as a number or as text.
fn letter(row: &Row, column: &str, letters: usize) -> Result<char, BadColumn> {
    let index = index(row.columns.get(column)).filter(|index| *index < letters);
    index.and_then(|index| ('A'..='Z').nth(index)).ok_or_else(|| row.bad(column, "the index of an option"))
}

fn index(value: Option<&Value>) -> Option<usize> {
    match value? {
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        Value::String(text) => strip(text).parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn of(benchmark: Benchmark, columns: Value) -> Result<Option<String>, BadColumn> {
        let columns: Map<String, Value> = serde_json::from_value(columns).unwrap();
        gold(benchmark, &Row { row: 0, part: None, columns })
    }

    #[test]
    fn numbers_and_texts_are_taken() {
        for answer in [json!(2), json!("2"), json!(" 2\n")] {
            assert_eq!(of(Benchmark::PerceptionTest, json!({ "answer_id": answer })), Ok(Some("C".to_owned())));
        }
        for answer in [json!(5), json!(-1), json!(1.5), json!("x"), json!(null)] {
            assert!(of(Benchmark::NextQa, json!({ "answer": answer })).is_err(), "{answer}");
        }
    }

    #[test]
    fn the_first_equal_candidate_is_right() {
        let row = json!({ "candidates": ["a", "b", "b"], "answer": "b" });
        assert_eq!(of(Benchmark::MvBench, row), Ok(Some("B".to_owned())));
        let error = of(Benchmark::MvBench, json!({ "candidates": ["a"], "answer": "A" })).unwrap_err();
        assert_eq!(error.to_string(), "row 0: column `answer` is not one of the candidates");
    }
}
