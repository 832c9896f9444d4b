//! The answer while it is generated: ids to text, shown as soon as it is certain.

use anyhow::Result;
use llava_video::checkpoint::GenerationDefaults;
use llava_video::generate::{SamplingParams, StopReason, TextStream};
use llava_video::prompt::Tokenizer;

use crate::cli::args::AskArgs;
use crate::cli::output::Printer;

/// The answer as far as it is known.
#[derive(Default)]
pub(super) struct Answer {
    text: String,
    stream: TextStream,
}

impl Answer {
    /// Takes an id; what becomes certain is shown at once if there is a printer.
    pub(super) fn push(&mut self, id: u32, tokenizer: &Tokenizer, printer: Option<&mut Printer>) -> Result<()> {
        let piece = self.stream.push(id, tokenizer);
        self.show(&piece, printer)
    }

    fn show(&mut self, piece: &str, printer: Option<&mut Printer>) -> Result<()> {
        self.text.push_str(piece);
        match printer {
            Some(printer) if !piece.is_empty() => printer.answer(piece),
            _ => Ok(()),
        }
    }

    /// Ends the answer, with a newline if anything was generated, and returns the whole of it.
    pub(super) fn finish(mut self, mut printer: Option<&mut Printer>, generated: bool) -> Result<String> {
        let rest = std::mem::take(&mut self.stream).finish();
        self.show(&rest, printer.as_deref_mut())?;
        match printer {
            Some(printer) if generated => printer.answer("\n")?,
            _ => {}
        }
        Ok(self.text)
    }
}

/// Why an answer ends before its end, if a limit ended it.
pub(super) fn cut_short(stop_reason: StopReason, tokens: usize) -> Option<String> {
    match stop_reason {
        StopReason::Length => {
            Some(format!("the answer was cut off after {tokens} tokens; `--max-new-tokens` allows more"))
        }
        StopReason::Context => {
            Some(format!("the answer was cut off after {tokens} tokens: the model's context is full"))
        }
        StopReason::Stop | StopReason::Interrupted => None,
    }
}

/// How tokens are chosen: the arguments, else what the checkpoint says.
pub(super) fn sampling(args: &AskArgs, defaults: &GenerationDefaults) -> SamplingParams {
    SamplingParams {
        temperature: args.temperature,
        top_p: args.top_p.or(defaults.top_p),
        top_k: args.top_k.or(defaults.top_k),
        repetition_penalty: args.repetition_penalty.unwrap_or(defaults.repetition_penalty),
        seed: args.seed.unwrap_or_else(random_seed),
    }
}

/// A seed from the operating system's randomness, by way of the standard library's hasher keys.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
