//! A session: one KV cache over one model, prompted many times. What a prompt begins with and the cache still holds is
//! not computed again: several questions about one video, turns of a chat, given answers.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Device, Tensor};

use super::positions::Positions;
use crate::device::Placed;
use crate::error::Error;
use crate::generate::Decoder;
use crate::interrupt::Interrupt;
use crate::language::KvCache;
use crate::model::{LlavaVideo, Progress, Stage};
use crate::prompt::Prompt;
use crate::trace::Trace;

pub use super::positions::VisualId;

/// A clip's or a picture's visual tokens, and the name by which a session knows them again.
#[derive(Debug, Clone)]
pub struct VisualTokens {
    /// Which they are.
    pub id: VisualId,
    /// `[N_v, D]`
    pub tokens: Placed,
}

impl VisualTokens {
    /// Visual tokens under a name that no others have in this process.
    pub fn new(tokens: Placed) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: VisualId(NEXT.fetch_add(1, Ordering::Relaxed)), tokens }
    }
}

/// What prefill gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefilled {
    /// Logits of the last position, one per id.
    pub logits: Vec<f32>,
    /// Positions of the prompt, visual tokens included.
    pub prompt_tokens: usize,
    /// How many of those the cache held already.
    pub cached_tokens: usize,
}

/// A KV cache that remembers what its positions hold, ready for a prompt at any time and for decode steps after one.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m LlavaVideo,
    interrupt: &'m Interrupt,
    cache: KvCache,
    /// What the cache holds, position by position.
    held: Positions,
    /// How many of them prefill has computed; decode steps have computed those behind.
    prefilled_tokens: usize,
}

impl<'m> Session<'m> {
    /// An empty session. `interrupt` ends prefill and decode steps; once it is cleared, the session goes on.
    pub fn new(model: &'m LlavaVideo, interrupt: &'m Interrupt) -> Self {
        let (cache, held) = (model.language().new_cache(0), Positions::default());
        Self { model, interrupt, cache, held, prefilled_tokens: 0 }
    }

    /// Makes room for `capacity` positions in all, prompt and answer, so that the cache need not grow prompt by prompt.
    ///
    /// # Errors
    /// A failing device.
    pub fn reserve(&mut self, capacity: usize) -> Result<(), Error> {
        Ok(self.cache.reserve(capacity)?)
    }

    /// Positions that the cache holds.
    pub fn held_tokens(&self) -> usize {
        self.cache.len()
    }

    /// Runs a prompt, with one entry of `visual` for each of its visual segments, and makes room for `max_new_tokens`
    /// decode steps. The longest beginning that the cache holds is kept, all behind it is forgotten. A clip's visual
    /// tokens are kept whole or not at all. The last position is always computed, since its logits are not kept.
    ///
    /// With quantized weights what decode steps have left is computed again, too, so that a prompt gives the same
    /// logits whatever the session was asked before.
    ///
    /// # Errors
    /// Visual tokens that do not meet the prompt's places for them, a prompt without positions, an interrupt, or a
    /// failing device. The session can be prompted again after each of them.
    pub fn prefill(
        &mut self,
        prompt: &Prompt,
        visual: &[VisualTokens],
        max_new_tokens: usize,
        progress: &mut Progress<'_>,
        trace: &mut Trace,
    ) -> Result<Prefilled, Error> {
        let counts = visual.iter().map(|visual| Ok((visual.id, visual.tokens.tensor().dim(0)?)));
        let counts = counts.collect::<candle_core::Result<Vec<_>>>()?;
        let wanted = Positions::of(prompt, counts.into_iter())?;
        let prompt_tokens = wanted.len();
        let language = self.model.language();
        if language.steps_differ() {
            self.held.truncate(self.prefilled_tokens);
        }
        self.held.truncate(self.held.common(&wanted).min(prompt_tokens.saturating_sub(1)));
        let cached_tokens = self.held.len();
        self.cache.truncate(cached_tokens);
        self.prefilled_tokens = self.prefilled_tokens.min(cached_tokens);

        let (rest, visual_before) = wanted.rest(cached_tokens);
        let rest_visual: Vec<Placed> = visual[visual_before..].iter().map(|visual| visual.tokens.clone()).collect();
        let embeds = self.model.embed_prompt(&rest, &rest_visual, trace)?;
        self.cache.reserve(prompt_tokens.saturating_add(max_new_tokens))?;
        let mut on_positions = |done, total| progress(Stage::Prefill, done, total);
        let logits = language.prefill(&embeds, &mut self.cache, self.interrupt, &mut on_positions);
        // After an interrupt that is a part of the prompt.
        self.held = wanted;
        self.held.truncate(self.cache.len());
        self.cache.truncate(self.held.len());
        self.prefilled_tokens = self.held.len();
        let logits = logits?;
        trace.record("prefill_logits_last", &logits)?;
        Ok(Prefilled { logits: logits.to_vec1()?, prompt_tokens, cached_tokens })
    }

    /// Gives `on_logits` the logits after each of `ids` in turn, a few at a time, if they came next. The session is
    /// left as it was.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    pub(super) fn try_ids(&mut self, ids: &[u32], on_logits: &mut dyn FnMut(Vec<Vec<f32>>)) -> Result<(), Error> {
        let len = self.cache.len();
        self.cache.reserve(len + ids.len())?;
        let language = self.model.language();
        let outcome = language.all_logits(ids, &mut self.cache, self.interrupt, &mut |_| (), on_logits);
        self.cache.truncate(len);
        outcome
    }
}

/// One decode step of several sessions of one model at once: `ids[i]` at the position after all that `sessions[i]`
/// holds. Returns the logits after each, `[N, vocab]`, on the CPU.
///
/// # Errors
/// Not one id for each session, sessions of several models, an interrupt, or a failing device. All sessions are then
/// as before.
pub fn step_many(sessions: &mut [&mut Session<'_>], ids: &[u32]) -> Result<Tensor, Error> {
    let Some((model, interrupt)) = sessions.first().map(|first| (first.model, first.interrupt)) else {
        return Err(candle_core::Error::msg("a decode step without a session").into());
    };
    if sessions.iter().any(|session| !std::ptr::eq(session.model, model)) {
        return Err(candle_core::Error::msg("sessions of several models cannot take a decode step together").into());
    }
    let mut caches: Vec<&mut KvCache> = sessions.iter_mut().map(|session| &mut session.cache).collect();
    let logits = model.language().step_many(ids, &mut caches, interrupt)?;
    sessions.iter_mut().zip(ids).for_each(|(session, &id)| session.held.extend(&[id]));
    Ok(logits.to_device(&Device::Cpu)?)
}

impl Decoder for Session<'_> {
    /// One decode step at the position after all that are held.
    fn step(&mut self, id: u32) -> Result<Vec<f32>, Error> {
        Ok(step_many(&mut [self], &[id])?.squeeze(0)?.to_vec1()?)
    }
}
