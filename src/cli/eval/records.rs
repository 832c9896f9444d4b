//! From what came of a clip to the records of the rows that were asked about it.

use llava_video::batch::schedule::Finished;
use llava_video::batch::{Failure, Record, Status};
use llava_video::eval::results::{Eval, kind};
use llava_video::eval::run::{Answered, Asked, Plan, Sitting};
use llava_video::eval::videos::{AtMissing, Missing};
use serde_json::{Map, Value, json};

use crate::cli::batch::body::Told;

/// Makes the records of a run.
pub(crate) struct Recorder<'r> {
    pub(crate) plan: &'r Plan,
    /// What is asked, of what is left to do.
    pub(crate) sittings: &'r [Sitting],
    pub(crate) answered: &'r Answered,
    /// Model, devices and arithmetic.
    pub(crate) run: Map<String, Value>,
}

impl Recorder<'_> {
    /// A record for each row of a sitting.
    pub(crate) fn records(&self, place: usize, finished: Finished<Told>) -> Vec<Record> {
        let sitting = &self.sittings[place];
        let rows = sitting.rows.iter().map(|&row| &self.plan.asked[row]);
        let piece = finished.pieces.into_iter().next();
        match (finished.failure, piece) {
            (None, Some(Ok(told))) => {
                let mut keys = told.into_keys();
                let answers = keys.shift_remove("answers");
                let answers = answers.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                rows.enumerate().map(|(place, asked)| self.of_answer(asked, answers.get(place), &keys)).collect()
            }
            (Some(failure), _) | (None, Some(Err(failure))) => {
                rows.map(|asked| self.failed(asked, of_clip(&failure, sitting), Map::new())).collect()
            }
            (None, None) => {
                let failure = Failure::new("internal", "nothing came of the clip", false);
                rows.map(|asked| self.failed(asked, failure.clone(), Map::new())).collect()
            }
        }
    }

    fn of_answer(&self, asked: &Asked, answer: Option<&Value>, keys: &Map<String, Value>) -> Record {
        let mut body = keys.clone();
        body.insert("answers".to_owned(), answer.into_iter().cloned().collect());
        let Some(answer) = answer else {
            return self.failed(asked, Failure::new("internal", "the question has no answer", false), body);
        };
        let length_secs = keys.get("video").and_then(|video| video.get("duration_secs")?.as_f64());
        match self.answered.with(asked, answer, length_secs) {
            Ok(eval) => {
                let is_cut = matches!(answer.get("stop_reason").and_then(Value::as_str), Some("length" | "context"));
                let status = if is_cut { Status::Truncated } else { Status::Ok };
                self.record(asked, (status, None), body, &eval)
            }
            Err(error) => self.failed(asked, Failure::new(kind::ROW, error.to_string(), false), body),
        }
    }

    fn failed(&self, asked: &Asked, failure: Failure, body: Map<String, Value>) -> Record {
        self.record(asked, (Status::Error, Some(failure)), body, &self.answered.without(asked))
    }

    fn record(
        &self,
        asked: &Asked,
        (status, failure): (Status, Option<Failure>),
        mut body: Map<String, Value>,
        eval: &Eval,
    ) -> Record {
        body.extend(self.run.clone());
        body.insert("eval".to_owned(), json!(eval));
        Record { id: asked.job.id.clone(), job: asked.job.digest(), status, failure, body }
    }
}

/// A clip that is not there is told by where it was looked for, and by what the harness does about it.
fn of_clip(failure: &Failure, sitting: &Sitting) -> Failure {
    let Some(Missing { tried, harness }) = sitting.tried.as_ref().filter(|_| failure.kind == "missing") else {
        return failure.clone();
    };
    let first = tried.first().map(|path| path.display().to_string()).unwrap_or_default();
    let others = match tried.len().saturating_sub(1) {
        0 => String::new(),
        1 => ", nor at 1 other place".to_owned(),
        count => format!(", nor at {count} other places"),
    };
    let there = match harness {
        AtMissing::HandsOver => "; the harness would score a message in place of an answer",
        AtMissing::Exits | AtMissing::Raises => "",
    };
    Failure::new(kind::NO_VIDEO, format!("{first}: no such file{others}{there}"), true)
}
