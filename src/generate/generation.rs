//! One answer's ids so far, how the next is chosen, and when they end.

use super::{Sampler, StopReason, StopRule};

/// An answer that is being generated, whoever runs the decode steps: logits go in, ids come out, until there is a
/// reason to stop.
#[derive(Debug)]
pub struct Generation {
    sampler: Sampler,
    rule: StopRule,
    ids: Vec<u32>,
}

impl Generation {
    /// An answer without a token.
    pub fn new(sampler: Sampler, rule: StopRule) -> Self {
        Self { sampler, rule, ids: Vec::new() }
    }

    /// Chooses the next id by its logits, which are changed on the way. A stop id is one of the answer's ids.
    ///
    /// # Errors
    /// Logits that are not numbers.
    pub fn next(&mut self, logits: &mut [f32]) -> candle_core::Result<u32> {
        let id = self.sampler.next(logits)?;
        self.ids.push(id);
        Ok(id)
    }

    /// Why no more ids follow; `None` while a decode step of the last one is to be run.
    pub fn stop_reason(&self) -> Option<StopReason> {
        let Self { rule, ids, .. } = self;
        match ids.last() {
            Some(id) if rule.eos_token_ids.contains(id) => Some(StopReason::Stop),
            _ if ids.len() < rule.max_new_tokens => None,
            _ if rule.shortened_to_context => Some(StopReason::Context),
            _ => Some(StopReason::Length),
        }
    }

    /// The ids so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The ids.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }
}
