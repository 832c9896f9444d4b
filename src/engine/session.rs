//! A conversation over one KV cache.

use crate::Error;
use crate::device::Placed;
use crate::generate::Decoder;
use crate::interrupt::Interrupt;
use crate::model::{self, LlavaVideo, Progress};
use crate::prompt::Prompt;
use crate::trace::Trace;

/// A clip's, or a picture's, visual tokens.
#[derive(Debug, Clone)]
pub struct VisualTokens {
    tokens: Placed,
}

impl VisualTokens {
    /// Those of one clip or picture, `[N_v, D]`.
    pub fn new(tokens: Placed) -> Self {
        Self { tokens }
    }
}

/// A conversation with a loaded model.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m LlavaVideo,
    interrupt: &'m Interrupt,
    capacity: usize,
    running: Option<model::Session<'m>>,
}

/// What prefill of a prompt gave.
#[derive(Debug)]
pub struct Prefilled {
    /// Of the last position.
    pub logits: Vec<f32>,
    /// Positions that were not computed again.
    pub cached_tokens: usize,
}

impl<'m> Session<'m> {
    /// A session whose KV cache will hold `capacity` positions.
    pub fn new(model: &'m LlavaVideo, capacity: usize, interrupt: &'m Interrupt) -> Self {
        Self { model, interrupt, capacity, running: None }
    }

    /// Runs a prompt that shows `visual`.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    pub fn prefill(
        &mut self,
        prompt: &Prompt,
        visual: &[VisualTokens],
        progress: &mut Progress<'_>,
        trace: &mut Trace,
    ) -> Result<Prefilled, Error> {
        let placed: Vec<Placed> = visual.iter().map(|visual| visual.tokens.clone()).collect();
        let embeds = self.model.embed_prompt(prompt, &placed, trace)?;
        let room = self.capacity - embeds.tensor().dim(0)?;
        self.running = None;
        let (running, logits) = self.model.prefill(&embeds, room, self.interrupt, progress, trace)?;
        self.running = Some(running);
        Ok(Prefilled { logits, cached_tokens: 0 })
    }
}

impl Decoder for Session<'_> {
    fn step(&mut self, id: u32) -> Result<Vec<f32>, Error> {
        match &mut self.running {
            Some(running) => running.step(id),
            None => Err(candle_core::Error::msg("a decode step before any prefill").into()),
        }
    }
}
