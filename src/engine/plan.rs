//! A question as a prompt: its length, whether the context holds it, and what memory it takes.

use serde::{Deserialize, Serialize};

use super::clip::PlannedClip;
use super::error::Error;
use super::media::Media;
use super::pictures::CutPicture;
use crate::checkpoint::Checkpoint;
use crate::generate::StopRule;
use crate::memory::Demand;
use crate::model;
use crate::prompt::{self, Conversation, DEFAULT_SYSTEM, Part, Prompt, TimeInstruction, Tokenizer, Turn};
use crate::prompt::{picture_message, user_message};
use crate::search::most_below;
use crate::video::{self, FramePlan};

/// How questions are put to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskOptions {
    /// The system message: `None` for the chat template's, empty for none.
    pub system: Option<String>,
    /// Whether the model is told the times of the frames, and where.
    pub time_instruction: TimeInstruction,
    /// The longest answer, in tokens.
    pub max_new_tokens: usize,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { system: None, time_instruction: TimeInstruction::None, max_new_tokens: 4096 }
    }
}

/// A question that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What the user asked.
    pub question: String,
    /// What the model answered.
    pub answer: String,
}

/// A prompt that fits the context, with its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizedPrompt {
    /// The prompt.
    pub prompt: Prompt,
    /// Its positions, visual tokens included.
    pub tokens: usize,
    /// Positions that are visual tokens.
    pub visual_tokens: usize,
}

/// What the vision tower has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Views {
    /// Distinct frames, or tiles of all pictures.
    pub distinct: usize,
    /// The most tiles of one picture, which are merged together.
    pub tiles_at_once: usize,
    /// Whether the tower is loaded.
    pub needs_tower: bool,
}

impl Views {
    /// Those of `media` as it is planned now.
    pub fn of(media: &Media) -> Self {
        let tiles = || media.pictures().iter().map(|picture| picture.tiles().tiles.len());
        Self {
            distinct: media.clip().map_or_else(|| tiles().sum(), PlannedClip::distinct_frames),
            tiles_at_once: tiles().max().unwrap_or(0),
            needs_tower: !matches!(media, Media::Nothing),
        }
    }
}

/// The plan that another number of frames makes of the whole clip.
fn uniform_plan(clip: &PlannedClip, frames: usize) -> FramePlan {
    let policy = video::SamplePolicy { max_frames: frames, fps: None };
    video::plan(clip.info().frame_count, clip.info().avg_fps, &policy)
}

/// One question after `past`, of one checkpoint.
pub(super) struct Question<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) options: &'a AskOptions,
    pub(super) past: &'a [Exchange],
    pub(super) text: &'a str,
}

impl Question<'_> {
    /// The prompt about `media` as it is planned now.
    ///
    /// # Errors
    /// A prompt that leaves no room for an answer, naming the number of frames, or of pictures, that would.
    pub(super) fn prompt(&self, media: &Media) -> Result<SizedPrompt, Error> {
        match media {
            Media::Nothing => {
                let first = |question: &str| vec![Part::Text(question.to_owned())];
                self.fitting(self.sized(first, 0)?, || Ok(None))
            }
            Media::Clip(clip) => {
                let sized = self.clip_prompt(clip, &clip.plan().clone())?;
                self.fitting(sized, || self.frames_that_fit(clip))
            }
            Media::Pictures(pictures) => {
                let visual_tokens = pictures.iter().map(CutPicture::visual_tokens).sum();
                self.picture_prompt(pictures.len(), visual_tokens)
            }
        }
    }

    /// The prompt for so many pictures, which take so many visual tokens together.
    pub(super) fn picture_prompt(&self, pictures: usize, visual_tokens: usize) -> Result<SizedPrompt, Error> {
        let sized = self.sized(|question| picture_message(pictures, question), visual_tokens)?;
        match self.checkpoint.config.context_length {
            Some(context_length) if sized.tokens >= context_length => {
                let prompt_tokens = sized.tokens;
                Err(prompt::Error::TooManyPictures { prompt_tokens, context_length, pictures }.into())
            }
            _ => Ok(sized),
        }
    }

    /// The prompt about a clip that is not known yet, of which `frames` are sampled: as long as the longest of them may
    /// be, and no longer than the context.
    pub(super) fn foreseen_prompt(&self, frames: usize) -> Result<SizedPrompt, Error> {
        // Nearly 28 hours: no label of a shorter clip has more digits.
        const LONGEST_SECS: f64 = 99_999.99;
        let rule = model::video_tokens(self.checkpoint)?;
        let labels = vec![LONGEST_SECS; frames];
        let message = |question: &str| user_message(self.options.time_instruction, LONGEST_SECS, &labels, question);
        let sized = self.sized(message, rule.count(frames))?;
        let most = self.checkpoint.config.context_length.unwrap_or(usize::MAX);
        Ok(SizedPrompt { tokens: sized.tokens.min(most), ..sized })
    }

    fn clip_prompt(&self, clip: &PlannedClip, plan: &FramePlan) -> Result<SizedPrompt, Error> {
        let rule = model::video_tokens(self.checkpoint)?;
        let message =
            |question: &str| user_message(self.options.time_instruction, clip.told_secs(), &plan.label_secs, question);
        self.sized(message, rule.count(plan.indices.len()))
    }

    /// Encodes the conversation; `message` is the user's first one, which shows what is asked about.
    fn sized(&self, message: impl Fn(&str) -> Vec<Part>, visual_tokens: usize) -> Result<SizedPrompt, Error> {
        let system = self.options.system.as_deref().unwrap_or(DEFAULT_SYSTEM);
        let mut turns = Vec::with_capacity(2 * self.past.len() + 1);
        let user = |question: &str, turns: &mut Vec<Turn>| {
            let parts = if turns.is_empty() { message(question) } else { vec![Part::Text(question.to_owned())] };
            turns.push(Turn::User(parts));
        };
        for Exchange { question, answer } in self.past {
            user(question, &mut turns);
            turns.push(Turn::Assistant(vec![Part::Text(answer.clone())]));
        }
        user(self.text, &mut turns);
        let conversation = Conversation { system: (!system.is_empty()).then(|| system.to_owned()), turns };
        let prompt = prompt::encode(&conversation, self.tokenizer)?;
        Ok(SizedPrompt { tokens: prompt.len(visual_tokens), visual_tokens, prompt })
    }

    fn fits(&self, sized: &SizedPrompt) -> bool {
        self.checkpoint.config.context_length.is_none_or(|limit| sized.tokens < limit)
    }

    fn fitting(
        &self,
        sized: SizedPrompt,
        frames_that_fit: impl FnOnce() -> Result<Option<usize>, Error>,
    ) -> Result<SizedPrompt, Error> {
        match self.checkpoint.config.context_length {
            Some(context_length) if sized.tokens >= context_length => {
                let frames_that_fit = frames_that_fit()?;
                Err(prompt::Error::TooLong { prompt_tokens: sized.tokens, context_length, frames_that_fit }.into())
            }
            _ => Ok(sized),
        }
    }

    /// The largest number of frames below the clip's whose uniform plan fits the context.
    fn frames_that_fit(&self, clip: &PlannedClip) -> Result<Option<usize>, Error> {
        let fits = |frames| Ok(self.fits(&self.clip_prompt(clip, &uniform_plan(clip, frames))?));
        most_below(clip.plan().indices.len(), fits)
    }

    /// What another number of frames would take of memory.
    pub(super) fn demand_of_frames(&self, clip: &PlannedClip, frames: usize) -> Result<Demand, Error> {
        let plan = uniform_plan(clip, frames);
        let distinct = video::distinct(&plan.indices).len();
        let prompt = self.clip_prompt(clip, &plan)?;
        Ok(demand(self.checkpoint, self.options, Views { distinct, tiles_at_once: 0, needs_tower: true }, &[&prompt]))
    }
}

/// When an answer to `prompt` stops.
pub(super) fn stop_rule(checkpoint: &Checkpoint, options: &AskOptions, prompt: &SizedPrompt) -> StopRule {
    let eos = checkpoint.generation.eos_token_ids.iter().copied();
    StopRule::new(eos, options.max_new_tokens, prompt.tokens, checkpoint.config.context_length)
}

/// What the longest of `prompts`, one after the other over one KV cache, ask of memory.
pub(super) fn demand(checkpoint: &Checkpoint, options: &AskOptions, views: Views, prompts: &[&SizedPrompt]) -> Demand {
    let most = |of: &dyn Fn(&SizedPrompt) -> usize| prompts.iter().map(|prompt| of(prompt)).max().unwrap_or(0);
    Demand {
        distinct_frames: views.needs_tower.then_some(views.distinct),
        tiles_at_once: views.tiles_at_once,
        visual_tokens: most(&|prompt| prompt.visual_tokens),
        prompt_tokens: most(&|prompt| prompt.tokens),
        cache_positions: most(&|prompt| prompt.tokens + stop_rule(checkpoint, options, prompt).max_new_tokens),
        kv_caches: 1,
    }
}
