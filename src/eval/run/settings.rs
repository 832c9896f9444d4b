//! How a run goes, and every setting of it by its name, as records and reports have them.

use serde_json::{Map, Value, json};

use super::source::Source;
use crate::checkpoint::{Checkpoint, NewlinePosition, PoolMode};
use crate::eval::parse::may_draw;
use crate::eval::protocol::{Protocol, Settings};
use crate::eval::results::Scoring;
use crate::eval::wrapper::FOLDER_FPS;
use crate::prompt::TimeInstruction;

/// The seed of draws, which is that of the harness's own random choices.
pub const DRAW_SEED: u64 = 0;

/// How a run goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manner {
    /// Frames, pooling and time instruction.
    pub protocol: Protocol,
    /// How answers are read.
    pub scoring: Scoring,
    /// The number of frames, where it is another than the protocol's.
    pub frames: Option<usize>,
}

impl Manner {
    /// What the protocol sets, with what is set otherwise.
    pub fn settings(self) -> Settings {
        let mut settings = self.protocol.settings();
        settings.sampling.max_frames = self.frames.unwrap_or(settings.sampling.max_frames);
        settings
    }
}

/// What a run ran with, beside its manner.
#[derive(Debug, Clone, Copy)]
pub struct Ran<'a> {
    /// The checkpoint with overrides applied.
    pub checkpoint: &'a Checkpoint,
    /// Model, devices and arithmetic, as records of a batch have them.
    pub run: &'a Map<String, Value>,
    /// The parts that it is about; none where the benchmark is one table.
    pub parts: &'a [String],
}

impl Manner {
    /// Every setting that answers depend on.
    pub fn named(self, source: Source, ran: Ran<'_>) -> Map<String, Value> {
        let Settings { sampling, time_instruction, .. } = self.settings();
        let Ran { checkpoint, run, parts } = ran;
        let video_tokens = &checkpoint.config.video_tokens;
        let draws = source.benchmark().is_some_and(may_draw) && self.scoring == Scoring::Parse;
        let settings = json!({
            "frames": sampling.max_frames,
            "fps": sampling.fps,
            "folder_fps": FOLDER_FPS,
            "time_instruction": match time_instruction {
                TimeInstruction::None => "none",
                TimeInstruction::Newline => "newline",
                TimeInstruction::Inline => "inline",
            },
            "pooling": match video_tokens.pool_mode {
                PoolMode::Bilinear => "bilinear",
                PoolMode::Average => "average",
                PoolMode::Max => "max",
            },
            "pooling_stride": video_tokens.pool_stride,
            "newline_position": match video_tokens.newline_position {
                NewlinePosition::Grid => "grid",
                NewlinePosition::Frame => "frame",
                NewlinePosition::OneToken => "one_token",
                NewlinePosition::NoToken => "no_token",
            },
            "max_new_tokens": source.benchmark().map(|_| source.max_new_tokens(true)),
            "temperature": 0,
            "repetition_penalty": checkpoint.generation.repetition_penalty,
            "draw_seed": draws.then_some(DRAW_SEED),
        });
        let Value::Object(mut settings) = settings else { unreachable!("it was made as one") };
        settings.extend(run.clone());
        settings.insert("parts".to_owned(), json!(parts));
        settings
    }

    /// The digest of a run whose answers have the digest `answers`: other rows, prompts or parsers make another run.
    pub fn digest(self, source: Source, answers: &str) -> String {
        let Self { protocol, scoring, frames } = self;
        let harness = source.harness().map_or("none", |harness| harness.name());
        let (name, split) = (source.name(), source.split());
        let text = format!("{answers}\n{name}\n{harness}\n{split}\n{protocol}\n{scoring}\n{frames:?}");
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Benchmark, Harness, Split};

    #[test]
    fn other_prompts_and_parsers_are_another_run() {
        let manner = Manner { protocol: Protocol::Card, scoring: Scoring::Parse, frames: None };
        let source = |benchmark, harness| Source::Benchmark { benchmark, harness, split: Split::Card };
        let (one, other) = (Harness::September2024, Harness::Head);
        let digests: std::collections::BTreeSet<String> = [
            manner.digest(source(Benchmark::Mlvu, one), "a"),
            manner.digest(source(Benchmark::Mlvu, one), "b"),
            manner.digest(source(Benchmark::Mlvu, other), "a"),
            manner.digest(source(Benchmark::VideoMme, one), "a"),
            manner.digest(Source::Own, "a"),
            Manner { scoring: Scoring::Logprob, ..manner }.digest(source(Benchmark::Mlvu, one), "a"),
            Manner { protocol: Protocol::Docs, ..manner }.digest(source(Benchmark::Mlvu, one), "a"),
            Manner { frames: Some(4), ..manner }.digest(source(Benchmark::Mlvu, one), "a"),
        ]
        .into();
        assert_eq!(digests.len(), 8);
        assert_eq!(Manner { frames: Some(4), ..manner }.settings().sampling.max_frames, 4);
    }
}
