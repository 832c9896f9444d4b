//! Room for a conversation, which every turn makes longer: planned in steps, and again for each turn beside the model
//! that is loaded already.

use super::core::{Engine, Placing};
use super::error::Error;
use super::media::Media;
use super::plan::{AskOptions, SizedPrompt, Views};
use crate::memory::Demand;

/// The KV cache of a conversation grows by so many positions at a time, so that it is not copied at every turn.
const STEP_POSITIONS: usize = 1024;

impl Engine {
    /// Where a conversation about `media` runs up to the answer to `prompt`, and what memory that takes. Its KV cache
    /// holds a multiple of 1024 positions. The vision tower counts even if nothing is shown yet, if it `keeps_tower`.
    /// `loaded` is the placing with which the model was loaded: layers stay where they are, and what was free then is
    /// to be shared, since all that is loaded counts again.
    ///
    /// # Errors
    /// Layers asked for on a GPU that is not there.
    pub fn place_turn(
        &self,
        media: &Media,
        prompt: &SizedPrompt,
        options: &AskOptions,
        keeps_tower: bool,
        loaded: Option<&Placing>,
    ) -> Result<Placing, Error> {
        let views = Views::of(media);
        let views = Views { needs_tower: views.needs_tower || keeps_tower, ..views };
        let demand = self.in_steps(self.demand(views, &[prompt], options));
        let (devices, memory) = match loaded {
            None => self.budget().place(demand)?,
            Some(loaded) => {
                (loaded.devices.clone(), self.budget().place_again(&loaded.devices, &loaded.memory, demand))
            }
        };
        Ok(Placing { views, devices, memory })
    }

    /// The error for a first turn that does not fit, with conversations like it that would.
    pub fn refusal_of_turn(&self, placing: &Placing, media: &Media, question: &str, options: &AskOptions) -> Error {
        let clip = media.clip();
        let question = self.question(&[], question, options);
        let demand_of = |frames: usize| match clip {
            Some(clip) => Ok(self.in_steps(question.demand_of_frames(clip, frames)?)),
            None => Ok(placing.memory.demand),
        };
        self.budget().refusal(&placing.memory, clip.map(|clip| clip.plan().indices.len()), &demand_of)
    }

    /// With the KV cache of a whole number of steps, as far as the context goes.
    fn in_steps(&self, demand: Demand) -> Demand {
        let context_length = self.checkpoint().config.context_length;
        Demand { cache_positions: whole_steps(demand.cache_positions, context_length), ..demand }
    }
}

/// `positions` and what is missing to a whole step; never more than the context, nor fewer than `positions`.
fn whole_steps(positions: usize, context_length: Option<usize>) -> usize {
    let whole = positions.checked_next_multiple_of(STEP_POSITIONS).unwrap_or(positions);
    whole.min(context_length.unwrap_or(usize::MAX)).max(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_grows_in_steps_up_to_the_context() {
        assert_eq!([0, 1, 1024, 1025].map(|positions| whole_steps(positions, None)), [0, 1024, 1024, 2048]);
        assert_eq!(whole_steps(1025, Some(1500)), 1500);
        assert_eq!((whole_steps(1600, Some(1500)), whole_steps(usize::MAX, None)), (1600, usize::MAX));
    }
}
