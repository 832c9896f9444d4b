//! Room for requests that are still to come: planned for the largest of them before the first is opened, so that the
//! model is loaded once and stays where it is.

use super::core::{Engine, Placing};
use super::error::Error;
use super::media::Media;
use super::plan::{AskOptions, SizedPrompt, Views};
use crate::memory::Demand;

/// The largest request that is expected.
#[derive(Debug, Clone, Copy)]
pub struct Foreseen<'f> {
    /// Frames sampled from a clip; 0 where there are no clips.
    pub frames: usize,
    /// The questions.
    pub questions: &'f [&'f str],
    /// Answers that are decoded together, each over a KV cache of its own.
    pub answers_together: usize,
}

impl Foreseen<'_> {
    fn views(&self) -> Views {
        Views { distinct: self.frames, tiles_at_once: 0, needs_tower: self.frames > 0 }
    }
}

impl Engine {
    /// Where requests up to `foreseen` run, and what memory that takes. What is longer than the context counts as long
    /// as that.
    ///
    /// # Errors
    /// Layers asked for on a GPU that is not there.
    pub fn place_foreseen(&self, foreseen: &Foreseen<'_>, options: &AskOptions) -> Result<Placing, Error> {
        let (views, demand) = (foreseen.views(), self.demand_foreseen(foreseen, options)?);
        let (devices, memory) = self.budget().place(demand)?;
        Ok(Placing { views, devices, memory })
    }

    /// The error for requests up to `foreseen` that do not fit, with others that would.
    pub fn refuse_foreseen(&self, placing: &Placing, foreseen: &Foreseen<'_>, options: &AskOptions) -> Error {
        let demand_of = |frames| self.demand_foreseen(&Foreseen { frames, ..*foreseen }, options);
        self.budget().refusal(&placing.memory, Some(foreseen.frames).filter(|&frames| frames > 0), &demand_of)
    }

    fn demand_foreseen(&self, foreseen: &Foreseen<'_>, options: &AskOptions) -> Result<Demand, Error> {
        let prompt = |text: &&str| self.question(&[], text, options).foreseen_prompt(foreseen.frames);
        let prompts = foreseen.questions.iter().map(prompt).collect::<Result<Vec<_>, _>>()?;
        let demand = self.demand(foreseen.views(), &prompts.iter().collect::<Vec<_>>(), options);
        Ok(Demand { kv_caches: foreseen.answers_together, ..demand })
    }

    /// What `prompts` about `media` take where the model was `loaded`, of what was free before that, beside as many KV
    /// caches as were foreseen.
    pub fn place_beside(
        &self,
        loaded: &Placing,
        media: &Media,
        prompts: &[&SizedPrompt],
        options: &AskOptions,
    ) -> Placing {
        let views = Views::of(media);
        let kv_caches = loaded.memory.demand.kv_caches;
        let demand = Demand { kv_caches, ..self.demand(views, prompts, options) };
        let memory = self.budget().place_again(&loaded.devices, &loaded.memory, demand);
        Placing { views, devices: loaded.devices.clone(), memory }
    }
}
