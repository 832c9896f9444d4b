//! One answer: prefill of what is new in the prompt, then decode steps, as text that is passed on as soon as it is
//! certain.

use std::ops::ControlFlow;

use super::choices::{self, Choice};
use super::error::Error;
use super::events::{Event, Observer, Watch, progress};
use super::plan::SizedPrompt;
use super::session::{Prefilled, Session, VisualTokens};
use crate::checkpoint::{Config, GenerationDefaults};
use crate::generate::{self, Generation, Sampler, SamplingParams, StopReason, StopRule, TextStream};
use crate::interrupt::Interrupt;
use crate::model;
use crate::prompt::{self, Tokenizer};

/// How tokens are chosen, where the checkpoint has defaults of its own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SamplingOptions {
    /// 0 always takes the likeliest token.
    pub temperature: f64,
    /// Above temperature 0; `None`: the checkpoint's.
    pub top_p: Option<f64>,
    /// Above temperature 0; `None`: the checkpoint's.
    pub top_k: Option<usize>,
    /// `None`: the checkpoint's.
    pub repetition_penalty: Option<f64>,
    /// `None`: another one each time.
    pub seed: Option<u64>,
}

impl SamplingOptions {
    /// These, with what they leave open filled in.
    pub fn resolved(&self, defaults: &GenerationDefaults) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_p: self.top_p.or(defaults.top_p),
            top_k: self.top_k.or(defaults.top_k),
            repetition_penalty: self.repetition_penalty.unwrap_or(defaults.repetition_penalty),
            seed: self.seed.unwrap_or_else(random_seed),
        }
    }
}

/// A seed from the operating system's randomness, by way of the standard library's hasher keys.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text, without outer white space.
    pub text: String,
    /// Generated ids, the stop id included.
    pub token_ids: Vec<u32>,
    /// Why they end.
    pub stop_reason: StopReason,
    /// Positions of the prompt that were not computed again.
    pub cached_tokens: usize,
    /// The answers that this one was chosen from, as they were given; empty where the model answered freely.
    pub choices: Vec<(String, Choice)>,
}

impl Answer {
    /// What stands for an answer that a signal ended before its first token.
    pub fn interrupted() -> Self {
        let (text, token_ids, stop_reason) = (String::new(), Vec::new(), StopReason::Interrupted);
        Self { text, token_ids, stop_reason, cached_tokens: 0, choices: Vec::new() }
    }
}

/// An answer whose prompt is read, and of which nothing is generated yet.
#[derive(Debug)]
pub struct Begun {
    /// What prefill gave.
    pub prefilled: Prefilled,
    /// How it goes on.
    pub generation: Generation,
}

/// What does not change between the questions of one session.
pub(super) struct Answerer<'a> {
    pub(super) config: &'a Config,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) visual: &'a [VisualTokens],
    pub(super) shows_pictures: bool,
    pub(super) interrupt: &'a Interrupt,
}

impl Answerer<'_> {
    /// Reads the prompt and generates. An interrupt is an outcome, not an error.
    pub(super) fn answer(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        rule: &StopRule,
        sampling: &SamplingParams,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Error> {
        let Some(begun) = self.begin(session, prompt, rule, sampling, watch)? else {
            return Ok(Answer::interrupted());
        };
        let Begun { prefilled, generation } = begun;
        let Watch { timings, observer, .. } = watch;
        let (mut text, mut stream, mut is_first) = (String::new(), TextStream::default(), true);
        let mut on_token = |id| {
            if std::mem::take(&mut is_first) {
                observer.tell(Event::FirstToken);
            }
            show(&stream.push(id, self.tokenizer), &mut text, *observer)
        };
        let decode = || generate::generate(prefilled.logits, session, generation, self.interrupt, &mut on_token);
        let (token_ids, stop_reason) = timings.decode.time(decode)?;
        show(&stream.finish(), &mut text, *observer)?;
        timings.decode_steps = token_ids.len().saturating_sub(1);
        Ok(Answer { text, token_ids, stop_reason, cached_tokens: prefilled.cached_tokens, choices: Vec::new() })
    }

    /// Reads the prompt, and nothing is generated yet; nothing comes after an interrupt.
    pub(super) fn begin(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        rule: &StopRule,
        sampling: &SamplingParams,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Begun>, Error> {
        let prompt_ids = model::penalized_prompt_ids(self.config, &prompt.prompt, self.shows_pictures);
        let generation = Generation::new(Sampler::new(sampling, prompt_ids), rule.clone());
        let prefilled = self.prefill(session, prompt, rule.max_new_tokens, watch)?;
        Ok(prefilled.map(|prefilled| Begun { prefilled, generation }))
    }

    /// Reads the prompt, and each of `texts` as an answer to it; the likeliest is the answer. An interrupt is an
    /// outcome, not an error.
    pub(super) fn choose(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        texts: &[String],
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Error> {
        let ids = texts.iter().map(|text| self.tokenizer.encode_plain(text)).collect::<Result<Vec<_>, _>>()?;
        let end = prompt::end_of_turn(self.tokenizer)?;
        let longest = ids.iter().map(Vec::len).max().unwrap_or(0);
        let prefilled = match self.prefill(session, prompt, longest, watch)? {
            Some(prefilled) => prefilled,
            None => return Ok(Answer::interrupted()),
        };
        let Watch { timings, observer, .. } = watch;
        let scored = match timings.decode.time(|| choices::score(session, &prefilled.logits, &ids, end)) {
            Err(crate::Error::Interrupted(_)) => return Ok(Answer::interrupted()),
            scored => scored?,
        };
        let Some(best) = choices::best(&scored) else { return Err(Error::NothingToChoose) };
        let mut text = String::new();
        show(&texts[best], &mut text, *observer)?;
        let token_ids = ids[best].iter().copied().chain([end]).collect();
        let (stop_reason, cached_tokens) = (StopReason::Stop, prefilled.cached_tokens);
        Ok(Answer { text, token_ids, stop_reason, cached_tokens, choices: texts.iter().cloned().zip(scored).collect() })
    }

    /// What prefill gave, with room for `new_tokens` more; nothing after an interrupt.
    fn prefill(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        new_tokens: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Prefilled>, Error> {
        let Watch { timings, trace, observer } = watch;
        let mut on_progress = progress(*observer);
        let prefill = || session.prefill(&prompt.prompt, self.visual, new_tokens, &mut on_progress, trace);
        let prefilled = match timings.prefill.time(prefill) {
            Err(crate::Error::Interrupted(_)) => return Ok(None),
            prefilled => prefilled?,
        };
        drop(on_progress);
        observer.tell(Event::StageOver);
        timings.prefill_tokens = prompt.tokens - prefilled.cached_tokens;
        Ok(Some(prefilled))
    }
}

/// Adds a piece to the answer, and passes it on.
fn show(piece: &str, text: &mut String, observer: &mut dyn Observer) -> Result<(), Error> {
    text.push_str(piece);
    match piece.is_empty() {
        true => Ok(()),
        false => match observer.piece(piece) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Abandoned),
        },
    }
}
