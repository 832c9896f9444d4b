//! What is asked of which checkpoint: the prompt with its length, and what it takes.

use std::ffi::OsStr;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use llava_video::Error;
use llava_video::checkpoint::Checkpoint;
use llava_video::device::DeviceMap;
use llava_video::generate::StopRule;
use llava_video::interrupt::Interrupt;
use llava_video::memory::{Demand, MemoryPlan};
use llava_video::model::{self, ClipFrames};
use llava_video::prompt::{self, Conversation, DEFAULT_SYSTEM, Part, Prompt, TimeInstruction, Tokenizer, Turn};
use llava_video::prompt::{picture_message, user_message};
use llava_video::quantization::{TensorPlan, fallbacks};
use llava_video::size::shown;
use llava_video::trace::Trace;
use llava_video::video::isolated::View;
use llava_video::video::{self, FramePlan};
use llava_video::vision::pool::VideoTokens;
use llava_video::vision::preprocess;

use super::pictures::{AskedPicture, PictureReader};
use crate::cli::args::AskArgs;
use crate::cli::memory::{Budget, most_frames_below};
use crate::cli::output::Printer;
use crate::cli::record::{Asked, Timings};
use crate::cli::request::{PlannedClip, does_not_apply};

/// What the vision tower has to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Views {
    /// Distinct frames, or tiles of all pictures.
    pub(super) distinct: usize,
    /// The most tiles of one picture, which are merged together.
    pub(super) tiles_at_once: usize,
}

impl Views {
    pub(super) fn of(clip: Option<&PlannedClip>, pictures: &[AskedPicture]) -> Self {
        let tiles = || pictures.iter().map(|picture| picture.tiles.tiles.len());
        Self {
            distinct: clip.map_or_else(|| tiles().sum(), PlannedClip::distinct_frames),
            tiles_at_once: tiles().max().unwrap_or(0),
        }
    }
}

/// What is asked, of which checkpoint.
pub(super) struct Request<'a> {
    pub(super) args: &'a AskArgs,
    pub(super) question: &'a str,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) checkpoint: &'a Checkpoint,
}

/// A prompt that fits the context, with its length.
pub(super) struct SizedPrompt {
    pub(super) prompt: Prompt,
    /// Positions, visual tokens included.
    pub(super) tokens: usize,
    pub(super) visual_tokens: usize,
}

/// The plan that `--frames` makes of the clip.
fn uniform_plan(clip: &PlannedClip, frames: usize) -> FramePlan {
    let policy = video::SamplePolicy { max_frames: frames, fps: None };
    video::plan(clip.info().frame_count, clip.info().avg_fps, &policy)
}

impl Request<'_> {
    /// The prompt for the clip's plan.
    ///
    /// # Errors
    /// A prompt that leaves no room for an answer, naming the number of frames that would.
    pub(super) fn prompt(&self, clip: Option<&PlannedClip>) -> Result<SizedPrompt> {
        let Some(clip) = clip else {
            let sized = self.sized(vec![Part::Text(self.question.to_owned())], 0)?;
            return self.fitting(sized, || Ok(None));
        };
        let rule = model::video_tokens(self.checkpoint)?;
        let sized = self.clip_prompt(clip, rule, &clip.plan)?;
        self.fitting(sized, || self.frames_that_fit(clip, rule))
    }

    /// Decodes and cuts the pictures.
    ///
    /// # Errors
    /// Pictures that do not fit the context, a checkpoint that does not say how to look at them, or a time instruction.
    pub(super) fn pictures(
        &self,
        first: PlannedClip,
        more: &[&OsStr],
        interrupt: &Interrupt,
        timings: &mut Timings,
        printer: &mut Printer,
    ) -> Result<Vec<AskedPicture>> {
        let is_told_times = self.args.time_instruction != TimeInstruction::None;
        if let Some(flag) = self.args.clip.frames_flag().or(is_told_times.then_some("--time-instruction")) {
            return Err(does_not_apply(first.path(), flag).into());
        }
        let rule = model::picture_tokens(self.checkpoint)?;
        let mut reader = PictureReader { args: &self.args.clip, rule: &rule, interrupt, timings, printer };
        reader.read_all(first, more, &|pictures, visual_tokens| self.picture_prompt(pictures, visual_tokens).map(drop))
    }

    /// The prompt for so many pictures, which take so many visual tokens together.
    pub(super) fn picture_prompt(&self, pictures: usize, visual_tokens: usize) -> Result<SizedPrompt> {
        let sized = self.sized(picture_message(pictures, self.question), visual_tokens)?;
        match self.checkpoint.config.context_length {
            Some(context_length) if sized.tokens >= context_length => {
                let prompt_tokens = sized.tokens;
                let error = prompt::Error::TooManyPictures { prompt_tokens, context_length, pictures };
                Err(Error::from(error).into())
            }
            _ => Ok(sized),
        }
    }

    fn clip_prompt(&self, clip: &PlannedClip, rule: VideoTokens, plan: &FramePlan) -> Result<SizedPrompt> {
        let parts = user_message(self.args.time_instruction, clip.told_secs(), &plan.label_secs, self.question);
        self.sized(parts, rule.count(plan.indices.len()))
    }

    fn sized(&self, parts: Vec<Part>, visual_tokens: usize) -> Result<SizedPrompt> {
        let system = self.args.system.as_deref().unwrap_or(DEFAULT_SYSTEM);
        let conversation =
            Conversation { system: (!system.is_empty()).then(|| system.to_owned()), turns: vec![Turn::User(parts)] };
        let prompt = prompt::encode(&conversation, self.tokenizer).map_err(Error::from)?;
        Ok(SizedPrompt { tokens: prompt.len(visual_tokens), visual_tokens, prompt })
    }

    /// What `--json` says of the request.
    pub(super) fn asked<'r>(
        &'r self,
        prompt: &SizedPrompt,
        clip: Option<&'r PlannedClip>,
        pictures: &'r [AskedPicture],
        devices: &'r DeviceMap,
    ) -> Asked<'r> {
        Asked {
            question: self.question,
            prompt_tokens: prompt.tokens,
            visual_tokens: prompt.visual_tokens,
            clip,
            pictures,
            model: &self.args.model,
            devices,
            quantize: self.args.quantize.quantize,
        }
    }

    fn fits(&self, sized: &SizedPrompt) -> bool {
        self.checkpoint.config.context_length.is_none_or(|limit| sized.tokens < limit)
    }

    fn fitting(
        &self,
        sized: SizedPrompt,
        frames_that_fit: impl FnOnce() -> Result<Option<usize>>,
    ) -> Result<SizedPrompt> {
        match self.checkpoint.config.context_length {
            Some(context_length) if sized.tokens >= context_length => {
                let frames_that_fit = frames_that_fit()?;
                let error = prompt::Error::TooLong { prompt_tokens: sized.tokens, context_length, frames_that_fit };
                Err(Error::from(error).into())
            }
            _ => Ok(sized),
        }
    }

    /// The largest `--frames` below the clip's number of frames whose uniform plan fits the context.
    fn frames_that_fit(&self, clip: &PlannedClip, rule: VideoTokens) -> Result<Option<usize>> {
        let fits = |frames| Ok(self.fits(&self.clip_prompt(clip, rule, &uniform_plan(clip, frames))?));
        most_frames_below(clip.plan.indices.len(), fits)
    }

    pub(super) fn stop_rule(&self, prompt: &SizedPrompt) -> StopRule {
        let eos = self.checkpoint.generation.eos_token_ids.iter().copied();
        StopRule::new(eos, self.args.max_new_tokens, prompt.tokens, self.checkpoint.config.context_length)
    }

    /// What the request asks of memory.
    pub(super) fn demand(&self, views: Views, prompt: &SizedPrompt) -> Demand {
        Demand {
            distinct_frames: (views.distinct > 0).then_some(views.distinct),
            tiles_at_once: views.tiles_at_once,
            visual_tokens: prompt.visual_tokens,
            prompt_tokens: prompt.tokens,
            cache_positions: prompt.tokens + self.stop_rule(prompt).max_new_tokens,
        }
    }

    /// The error for a request that does not fit, with those like it that would.
    pub(super) fn refusal(
        &self,
        budget: &Budget<'_>,
        memory: &MemoryPlan,
        clip: Option<&PlannedClip>,
    ) -> anyhow::Error {
        let demand_of = |frames: usize| {
            let (Some(clip), rule) = (clip, model::video_tokens(self.checkpoint)?) else {
                bail!("there are no frames");
            };
            let plan = uniform_plan(clip, frames);
            let distinct = video::distinct(&plan.indices).len();
            let prompt = self.clip_prompt(clip, rule, &plan)?;
            Ok(self.demand(Views { distinct, tiles_at_once: 0 }, &prompt))
        };
        budget.refusal(memory, clip.map(|clip| clip.plan.indices.len()), &demand_of)
    }

    /// Decodes the planned frames. They come resized, unless full pictures are to be dumped.
    pub(super) fn frames(
        &self,
        clip: &mut PlannedClip,
        interrupt: &Interrupt,
        trace: &mut Trace,
        printer: &mut Printer,
    ) -> Result<ClipFrames> {
        let size = self.checkpoint.vision.image_size;
        if !trace.is_recording() {
            let resized = clip.read(View::Resized(size), interrupt, printer, |frame| frame.rgb)?;
            return Ok(ClipFrames::new(resized, &clip.plan.indices));
        }
        let full = clip.read(View::Native, interrupt, printer, |frame| frame)?;
        let mut resized = Vec::with_capacity(full.len());
        for frame in full {
            resized.push(preprocess::resize(&frame.rgb, frame.width as usize, frame.height as usize, size));
            let shape = (1, frame.height as usize, frame.width as usize, 3);
            trace.record("frames", &Tensor::from_vec(frame.rgb, shape, &Device::Cpu)?)?;
        }
        Ok(ClipFrames::new(resized, &clip.plan.indices))
    }

    /// Says what is about to be done, for `-v`.
    pub(super) fn describe(
        &self,
        devices: &DeviceMap,
        clip: Option<&PlannedClip>,
        prompt: &SizedPrompt,
        printer: &mut Printer,
    ) {
        let plan = self.checkpoint.plan(self.args.quantize.scheme());
        let size = shown(plan.iter().map(TensorPlan::bytes).sum::<usize>() as u64);
        let (names, dtype) = (devices.names(), devices.dtype_name());
        printer.detail(&format!(
            "model: `{}`, {size} of weights, on {names} in {dtype}",
            self.checkpoint.source.path().display()
        ));
        fallbacks(&plan).iter().for_each(|line| printer.detail(line));
        if let Some(clip) = clip {
            let info = clip.info();
            printer.detail(&format!(
                "video: {} in {}, {}x{}, {} frames at {:.3} frames per second",
                info.codec, info.container, info.width, info.height, info.frame_count, info.avg_fps
            ));
            let (sampled, distinct) = (clip.plan.indices.len(), clip.distinct_frames());
            printer.detail(&format!("sampled: {sampled} frames, {distinct} of them distinct"));
        }
        let SizedPrompt { tokens, visual_tokens, .. } = prompt;
        printer.detail(&format!("prompt: {tokens} positions, {visual_tokens} of them visual tokens"));
    }
}
