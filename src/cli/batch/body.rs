//! What a record says beside its id and status: the answers, and everything that led to them, as `ask --json` has it.
//! `docs/json.md` has the keys.

use llava_video::batch::schedule::Finished;
use llava_video::batch::{Answered, Job, Made, PieceOutcome, Status};
use llava_video::device::DeviceMap;
use llava_video::generate::StopReason;
use llava_video::quantization::Quantization;
use serde_json::{Map, Value, json};

use crate::cli::args::WorkArgs;
use crate::cli::record;

/// What came of a piece, as it is recorded.
#[derive(Debug)]
pub(crate) struct Told {
    /// Keys of the record, or of its window.
    keys: Map<String, Value>,
    is_truncated: bool,
}

/// What is the same in all records.
pub(crate) struct Common<'a> {
    pub(crate) model: &'a str,
    pub(crate) devices: &'a DeviceMap,
    pub(crate) quantize: Option<Quantization>,
    /// Whether clips are cut in windows.
    pub(crate) has_windows: bool,
}

impl Told {
    /// What is recorded of the piece.
    pub(crate) fn into_keys(self) -> Map<String, Value> {
        self.keys
    }
}

/// What is recorded of a piece.
pub(crate) fn tell(outcome: &PieceOutcome<'_>) -> Told {
    let mut keys = Map::new();
    if let Some((start, end)) = outcome.window_secs {
        keys.insert("start_secs".to_owned(), json!(start));
        keys.insert("end_secs".to_owned(), json!(end));
    }
    keys.insert("answers".to_owned(), outcome.answers.iter().map(answer).collect());
    keys.extend(record::media(outcome.media));
    keys.insert("warnings".to_owned(), json!(outcome.warnings));
    let is_cut = |answered: &Answered| matches!(answered.answer.stop_reason, StopReason::Length | StopReason::Context);
    Told { keys, is_truncated: outcome.answers.iter().any(is_cut) }
}

fn answer(answered: &Answered) -> Value {
    let Answered { question, prompt, answer, frames_encoded, seed, timings, total } = answered;
    let outcome =
        record::Outcome { answer, frames_encoded: *frames_encoded, seed: *seed, timings: *timings, total: *total };
    Value::Object(record::answer(question, prompt, &outcome))
}

impl<'a> Common<'a> {
    /// Of a run on `devices`.
    pub(crate) fn new(args: &'a WorkArgs, devices: &'a DeviceMap) -> Self {
        let (asking, has_windows) = (&args.asking, args.windowing().is_some());
        Self { model: &asking.checkpoint.model, devices, quantize: asking.checkpoint.quantize.quantize, has_windows }
    }

    /// What all records of the run say of it.
    pub(crate) fn run(&self) -> Map<String, Value> {
        record::run(self.model, self.devices, self.quantize)
    }

    /// What is recorded of a job.
    pub(crate) fn made(&self, job: &Job, finished: Finished<Told>) -> Made {
        let Finished { pieces, failure } = finished;
        let failure = failure.or_else(|| pieces.iter().find_map(|piece| piece.as_ref().err().cloned()));
        let told: Vec<Told> = pieces.into_iter().filter_map(Result::ok).collect();
        let status = match &failure {
            Some(_) => Status::Error,
            None if told.is_empty() => Status::Skipped,
            None if told.iter().any(|told| told.is_truncated) => Status::Truncated,
            None => Status::Ok,
        };
        let mut body = Map::new();
        if status == Status::Skipped {
            body.insert("reason".to_owned(), json!("no window is left of it"));
        }
        if self.has_windows {
            body.insert("windows".to_owned(), told.into_iter().map(|told| Value::Object(told.keys)).collect());
        } else if let Some(told) = told.into_iter().next() {
            body = told.keys;
        }
        body.extend(self.run());
        body.insert("meta".to_owned(), json!(job.meta));
        Made { status, failure, body }
    }
}
