//! Token by token: prefill once, then one decode step per token, until a stop id or a limit.

mod generation;
mod sampling;
mod stream;

use std::collections::BTreeSet;

pub use generation::Generation;
pub(crate) use sampling::check_numbers;
pub use sampling::{Sampler, SamplingParams};
pub use stream::TextStream;

use crate::interrupt::Interrupt;

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// The model ended its answer.
    Stop,
    /// `--max-new-tokens` were generated.
    Length,
    /// The model's context is full.
    Context,
    /// A signal asked to stop.
    Interrupted,
}

/// Positions of a model whose context has no stated end: beyond any memory, and few enough to count their bytes.
const MOST_POSITIONS: usize = u32::MAX as usize;

/// When to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRule {
    /// Ids that end the answer.
    pub eos_token_ids: BTreeSet<u32>,
    /// Most tokens to generate.
    pub max_new_tokens: usize,
    /// Whether `max_new_tokens` was shortened to what the context still holds.
    pub shortened_to_context: bool,
}

impl StopRule {
    /// The rule for a prompt of `prompt_tokens` positions in a context of `context_length` (`None`: not stated).
    pub fn new(
        eos_token_ids: impl IntoIterator<Item = u32>,
        max_new_tokens: usize,
        prompt_tokens: usize,
        context_length: Option<usize>,
    ) -> Self {
        let room = context_length.unwrap_or(MOST_POSITIONS).saturating_sub(prompt_tokens);
        Self {
            eos_token_ids: eos_token_ids.into_iter().collect(),
            max_new_tokens: max_new_tokens.min(room),
            shortened_to_context: room < max_new_tokens,
        }
    }
}

/// What gives the next token's logits; a trait so that the loop can be tested without a model.
pub trait Decoder {
    /// Runs one decode step for `id` and returns the logits of the position after it.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    fn step(&mut self, id: u32) -> Result<Vec<f32>, crate::Error>;
}

/// Generates after prefill. `on_token` sees every id as soon as it is known, the stop id included, and may end the run
/// by returning an error. Returns the ids and why they ended.
///
/// # Errors
/// Whatever the decoder or `on_token` fails with; an interrupt is an outcome, not an error.
pub fn generate<E: From<crate::Error>>(
    first_logits: Vec<f32>,
    decoder: &mut dyn Decoder,
    mut generation: Generation,
    interrupt: &Interrupt,
    on_token: &mut dyn FnMut(u32) -> Result<(), E>,
) -> Result<(Vec<u32>, StopReason), E> {
    let mut logits = first_logits;
    loop {
        if let Some(reason) = generation.stop_reason() {
            return Ok((generation.into_ids(), reason));
        }
        if interrupt.signal().is_some() {
            return Ok((generation.into_ids(), StopReason::Interrupted));
        }
        let id = generation.next(&mut logits).map_err(crate::Error::from)?;
        on_token(id)?;
        if generation.stop_reason().is_none() {
            logits = match decoder.step(id) {
                Ok(logits) => logits,
                Err(crate::Error::Interrupted(_)) => return Ok((generation.into_ids(), StopReason::Interrupted)),
                Err(error) => return Err(error.into()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays back the ids it was given, whatever is asked.
    struct Script(Vec<u32>);

    impl Decoder for Script {
        fn step(&mut self, id: u32) -> Result<Vec<f32>, crate::Error> {
            assert_eq!(self.0.remove(0), id, "the loop must feed back what it generated");
            Ok(one_hot(self.0[0]))
        }
    }

    fn one_hot(id: u32) -> Vec<f32> {
        (0..10).map(|candidate| if candidate == id { 5.0 } else { 0.0 }).collect()
    }

    fn run(script: &[u32], rule: &StopRule, interrupt: &Interrupt) -> (Vec<u32>, StopReason) {
        let mut seen = Vec::new();
        let generation = Generation::new(Sampler::new(&SamplingParams::greedy(1.0), []), rule.clone());
        let mut decoder = Script(script.to_vec());
        let mut on_token = |id| {
            seen.push(id);
            Ok::<(), crate::Error>(())
        };
        let outcome = generate(one_hot(script[0]), &mut decoder, generation, interrupt, &mut on_token);
        let outcome = outcome.expect("a scripted run");
        assert_eq!(outcome.0, seen);
        outcome
    }

    #[test]
    fn a_context_without_an_end_still_has_countable_positions() {
        let rule = StopRule::new([7], usize::MAX, 50, None);
        assert_eq!(rule.max_new_tokens + 50, MOST_POSITIONS);
        assert!(rule.shortened_to_context);
    }

    #[test]
    fn either_stop_id_ends_the_answer_and_is_kept() {
        let rule = StopRule::new([7, 9], 100, 50, None);
        let running = Interrupt::default();
        assert_eq!(run(&[1, 2, 7], &rule, &running), (vec![1, 2, 7], StopReason::Stop));
        assert_eq!(run(&[1, 9, 2], &rule, &running), (vec![1, 9], StopReason::Stop));
    }

    #[test]
    fn limits_name_themselves() {
        let running = Interrupt::default();
        let script = [1, 2, 3, 4, 5, 6];
        assert_eq!(run(&script, &StopRule::new([7], 3, 5, None), &running), (vec![1, 2, 3], StopReason::Length));
        assert_eq!(run(&script, &StopRule::new([7], 3, 5, Some(8)), &running), (vec![1, 2, 3], StopReason::Length));
        assert_eq!(run(&script, &StopRule::new([7], 9, 5, Some(7)), &running), (vec![1, 2], StopReason::Context));
    }

    #[test]
    fn of_no_tokens_none_is_sampled() {
        let rule = StopRule::new([7], 0, 5, None);
        assert_eq!(run(&[1], &rule, &Interrupt::default()), (vec![], StopReason::Length));
    }

    #[test]
    fn an_interrupt_is_an_outcome() {
        let interrupt = Interrupt::default();
        interrupt.cell().store(2, std::sync::atomic::Ordering::Relaxed);
        let rule = StopRule::new([7], 3, 5, None);
        assert_eq!(run(&[1, 2, 3], &rule, &interrupt), (vec![], StopReason::Interrupted));
    }
}
