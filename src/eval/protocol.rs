//! How an evaluation is run: frames, pooling, time instruction, and what is generated.
//!
//! The card publishes ten numbers and no settings. What is known: its text speaks of 110 frames; the authors'
//! documented command has 64 and average pooling; training had 110 evenly spread frames, bilinear pooling and the time
//! instruction; with the documented command users of a sister model measured less than was published (NExT-QA 80.46
//! for 83.2, MLVU 67.0 for 70.8) and bilinear pooling brought them nearer (MLVU 68.6).

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Benchmark, Harness};
use crate::prompt::TimeInstruction;
use crate::video::SamplePolicy;

/// A way to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// The authors' documented command.
    Docs,
    /// As the model was trained.
    Train,
    /// What comes nearest to the card by what is known.
    Card,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Docs, Self::Train, Self::Card];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docs => "docs",
            Self::Train => "train",
            Self::Card => "card",
        }
    }

    /// Why it is as it is.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Docs => "the command that the authors document for this harness",
            Self::Train => "the settings of the authors' training script",
            Self::Card => {
                "110 frames evenly spread and no time instruction, as the card's own example has it, and the \
                 checkpoint's own pooling, with which measured scores come nearer to published ones"
            }
        }
    }

    /// What it sets.
    pub fn settings(self) -> Settings {
        let pooling = |mode: &str| {
            vec![
                ("mm_spatial_pool_mode", json!(mode)),
                ("mm_spatial_pool_stride", json!(2)),
                ("mm_newline_position", json!("grid")),
            ]
        };
        let spread = SamplePolicy { max_frames: 110, fps: None };
        match self {
            Self::Docs => Settings {
                sampling: SamplePolicy { max_frames: 64, fps: Some(1.0) },
                time_instruction: TimeInstruction::None,
                config: pooling("average"),
            },
            Self::Train => {
                Settings { sampling: spread, time_instruction: TimeInstruction::Newline, config: pooling("bilinear") }
            }
            Self::Card => Settings { sampling: spread, time_instruction: TimeInstruction::None, config: Vec::new() },
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", Protocol::ALL.map(Protocol::name).join(", "))]
pub struct NoProtocol;

impl FromStr for Protocol {
    type Err = NoProtocol;

    fn from_str(text: &str) -> Result<Self, NoProtocol> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or(NoProtocol)
    }
}

/// What a protocol sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which frames of a clip are taken.
    pub sampling: SamplePolicy,
    /// Where the model is told their times.
    pub time_instruction: TimeInstruction,
    /// Keys of the checkpoint's config.json, and what is put in their place.
    pub config: Vec<(&'static str, Value)>,
}

/// How an answer is generated. It is greedy for each benchmark; the checkpoint's repetition penalty stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Generation {
    /// The most tokens of an answer.
    pub max_new_tokens: usize,
    /// Always 0.
    pub temperature: f64,
    /// Without effect at temperature 0.
    pub top_p: Option<f64>,
}

/// How the harness has answers to a benchmark generated.
pub fn generation(benchmark: Benchmark, harness: Harness) -> Generation {
    /// What the wrapper takes where a task does not say.
    const UNSAID_TOKENS: usize = 1024;
    let (max_new_tokens, top_p) = match (benchmark, harness) {
        (Benchmark::ActivityNetQa, _) => (64, Some(1.0)),
        (Benchmark::EgoSchema | Benchmark::EgoSchemaSubset, Harness::Head) => (16, Some(1.0)),
        (Benchmark::EgoSchema | Benchmark::EgoSchemaSubset, _)
        | (Benchmark::NextQa | Benchmark::PerceptionTest | Benchmark::VideoDc, _) => (UNSAID_TOKENS, None),
        (Benchmark::LongVideoBench, _) => (32, None),
        (Benchmark::Mlvu | Benchmark::MvBench | Benchmark::VideoMme, _) => (16, Some(1.0)),
        (Benchmark::VideoChatGpt, _) => (1024, Some(1.0)),
    };
    Generation { max_new_tokens, temperature: 0.0, top_p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_apart_and_read_back() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
            assert!(!protocol.reason().is_empty());
        }
        assert_eq!("paper".parse::<Protocol>().unwrap_err().to_string(), "expected one of docs, train, card");
        let [docs, train, card] = Protocol::ALL.map(Protocol::settings);
        assert_eq!((docs.sampling.max_frames, docs.sampling.fps), (64, Some(1.0)));
        assert_eq!((train.sampling, card.sampling.max_frames), (card.sampling, 110));
        assert_eq!(docs.config[0], ("mm_spatial_pool_mode", json!("average")));
        assert_eq!(train.config[0], ("mm_spatial_pool_mode", json!("bilinear")));
        assert_eq!((docs.time_instruction, train.time_instruction), (TimeInstruction::None, TimeInstruction::Newline));
    }
}
