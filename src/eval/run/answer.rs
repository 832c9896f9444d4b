//! From an answer to what a record says of it under `eval`.

use serde_json::{Map, Value};

use super::plan::Asked;
use super::settings::{DRAW_SEED, Manner};
use super::source::Source;
use crate::eval::BadColumn;
use crate::eval::parse::Draw;
use crate::eval::results::{Eval, Scoring};
use crate::eval::score::Scored;

/// What is the same in all records of a run.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Where rows come from.
    pub source: Source,
    /// How it goes.
    pub manner: Manner,
    /// Every setting, by its name.
    pub settings: Map<String, Value>,
}

impl Answered {
    /// What is said of a row that has no answer.
    pub fn without(&self, asked: &Asked) -> Eval {
        Eval {
            benchmark: self.source.benchmark(),
            harness: self.source.harness(),
            split: self.source.split(),
            protocol: Some(self.manner.protocol),
            scoring: self.manner.scoring,
            part: asked.row.part.clone(),
            row: asked.row.row,
            rows: Some(asked.rows),
            video: asked.video.clone(),
            groups: self.source.groups(&asked.row),
            length_secs: None,
            output: None,
            parsed: None,
            answer: None,
            drawn: None,
            gold: None,
            is_correct: None,
            value: None,
            record: Map::new(),
            settings: self.settings.clone(),
            verdicts: Vec::new(),
            judged_with: None,
        }
    }

    /// What is said of a row with its answer, as a batch records it. With [`Scoring::Logprob`] the output is the
    /// likeliest letter, and the answer's `choices` say how likely each is.
    ///
    /// # Errors
    /// A column that scoring needs is not as it should be.
    pub fn with(&self, asked: &Asked, answer: &Value, length_secs: Option<f64>) -> Result<Eval, BadColumn> {
        let output = match self.manner.scoring {
            Scoring::Parse => answer.get("answer").and_then(Value::as_str),
            Scoring::Logprob => likeliest(answer),
        };
        let output = output.unwrap_or_default().to_owned();
        let scored = self.source.score(&asked.row, &output, Draw::new(DRAW_SEED))?;
        let answer = scored.answer();
        let Scored { parsed, drawn, gold, is_correct, is_counted, groups, record, .. } = scored;
        let value = is_correct.filter(|_| is_counted).map(|is_correct| f64::from(u8::from(is_correct)));
        let output = Some(output);
        let parsed = Some(parsed);
        Ok(Eval {
            length_secs,
            output,
            parsed,
            answer,
            drawn,
            gold,
            is_correct,
            value,
            groups,
            record,
            ..self.without(asked)
        })
    }
}

/// The choice with the largest `logprob`, the first of equals.
fn likeliest(answer: &Value) -> Option<&str> {
    let choices = answer.get("choices")?.as_array()?;
    let each =
        choices.iter().filter_map(|choice| Some((choice.get("text")?.as_str()?, choice.get("logprob")?.as_f64()?)));
    each.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_likeliest_letter_is_the_first_of_equals() {
        let choices = |logprobs: &[f64]| {
            let each: Vec<Value> = ('A'..)
                .zip(logprobs)
                .map(|(letter, logprob)| json!({ "text": letter.to_string(), "logprob": logprob }))
                .collect();
            json!({ "answer": "A", "choices": each })
        };
        assert_eq!(likeliest(&choices(&[-3.0, -1.0, -1.0])), Some("B"));
        assert_eq!(likeliest(&choices(&[])), None);
    }
}
