//! The engine: one checkpoint, its tokenizer, its devices, and the model once it is loaded; each step of the story of
//! an answer is one call.

use super::answer::{Answer, Answerer, SamplingOptions};
use super::clip::{ClipRequest, PlannedClip};
use super::error::{Error, PictureMisfit};
use super::estimate::{self, LongWork};
use super::events::{self, Observer, Timings, Watch};
use super::look::{self, Seen, Visual};
use super::media::Media;
use super::pictures::{CutPicture, PictureReader};
use super::placement::{Budget, DeviceOptions};
use super::plan::{self, AskOptions, Exchange, Question, SizedPrompt, Views};
use super::remember::Memory;
use super::session::{Session, VisualTokens};
use super::visual_cache::VisualCache;
use crate::checkpoint::{Checkpoint, ConfigOverride, Source};
use crate::device::{DeviceMap, Devices};
use crate::generate::SamplingParams;
use crate::interrupt::Interrupt;
use crate::memory::{Demand, MemoryPlan};
use crate::model::{self, LlavaVideo};
use crate::prompt::{TimeInstruction, Tokenizer};
use crate::quantization::Scheme;
use crate::trace::Trace;

/// How a checkpoint is opened and where it runs.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Devices and arithmetic.
    pub devices: DeviceOptions,
    /// Keys of config.json to replace.
    pub overrides: Vec<ConfigOverride>,
    /// In how many bits weights are held; `None`: as they are stored.
    pub scheme: Option<Scheme>,
    /// Where visual tokens of clips are kept between processes; `None`: nowhere.
    pub visual_cache: Option<VisualCache>,
}

/// Where a request runs, and whether it fits.
#[derive(Debug, Clone)]
pub struct Placing {
    /// What the vision tower has to look at.
    pub views: Views,
    /// Where each stage runs.
    pub devices: DeviceMap,
    /// The memory that this takes.
    pub memory: MemoryPlan,
}

/// One checkpoint, its tokenizer, its devices, and the model once it is loaded; asked many times.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    devices: Devices,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    vocab_len: usize,
    interrupt: Interrupt,
    model: Option<LlavaVideo>,
}

impl Engine {
    /// Opens the devices and a checkpoint; headers, config and tokenizer are read, weights are not.
    ///
    /// # Errors
    /// A device, checkpoint or tokenizer that cannot be used.
    pub fn open(source: &Source, options: EngineOptions, interrupt: &Interrupt) -> Result<Self, Error> {
        let devices = Devices::open(&options.devices.device, options.devices.dtype)?;
        Self::open_on(devices, source, options, interrupt)
    }

    /// As [`Self::open`], on the devices of `options`, which are open already.
    ///
    /// # Errors
    /// A checkpoint or tokenizer that cannot be used.
    pub fn open_on(
        devices: Devices,
        source: &Source,
        options: EngineOptions,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let checkpoint = open(source, &options, interrupt)?;
        let tokenizer = Tokenizer::open(source)?;
        let vocab_len = model::vocab_len(&checkpoint, &tokenizer);
        let devices = devices.suited_to(checkpoint.weights.decoder_dtype());
        let interrupt = interrupt.clone();
        Ok(Self { options, devices, checkpoint, tokenizer, vocab_len, interrupt, model: None })
    }

    /// Takes the checkpoint from where its weights are, where it was opened without them.
    ///
    /// # Errors
    /// A checkpoint that cannot be used.
    pub fn fetched(&mut self, source: &Source) -> Result<(), Error> {
        self.checkpoint = open(source, &self.options, &self.interrupt)?;
        Ok(())
    }

    /// The devices that are open.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What ends its stages.
    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// How tokens are chosen under `sampling` by this checkpoint.
    pub fn sampling(&self, sampling: &SamplingOptions) -> SamplingParams {
        sampling.resolved(&self.checkpoint.generation)
    }

    /// Decodes and cuts still pictures: `first`, which is open already, and `more`. Pictures that `question` leaves no
    /// room for in the context are refused before they are decoded.
    ///
    /// # Errors
    /// Something that is no picture, a checkpoint that does not say how to look at pictures, options that mean nothing
    /// for them, or more of them than the context holds.
    pub fn cut_pictures(
        &self,
        first: PlannedClip,
        more: &[ClipRequest],
        question: &str,
        options: &AskOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<CutPicture>, Error> {
        let is_told_times = options.time_instruction != TimeInstruction::None;
        let told = is_told_times.then_some(PictureMisfit::TimeInstruction);
        if let Some(what) = first.selection().frames_option().or(told) {
            return Err(Error::NotForAPicture { path: first.path().to_owned(), what });
        }
        let rule = model::picture_tokens(&self.checkpoint)?;
        let question = self.question(&[], question, options);
        let mut reader = PictureReader { rule: &rule, interrupt: &self.interrupt, watch };
        reader.read_all(first, more, &|pictures, visual_tokens| {
            question.picture_prompt(pictures, visual_tokens).map(drop)
        })
    }

    /// The prompt of `question`, asked about `media` after `past`.
    ///
    /// # Errors
    /// A prompt that leaves no room for an answer, naming the number of frames, or of pictures, that would.
    pub fn prompt(
        &self,
        media: &Media,
        past: &[Exchange],
        question: &str,
        options: &AskOptions,
    ) -> Result<SizedPrompt, Error> {
        self.question(past, question, options).prompt(media)
    }

    /// Where `prompts` about `media` run, one after the other, and what memory that takes.
    ///
    /// # Errors
    /// Layers asked for on a GPU that is not there.
    pub fn place(&self, media: &Media, prompts: &[&SizedPrompt], options: &AskOptions) -> Result<Placing, Error> {
        self.place_together(media, prompts, options, 1)
    }

    /// As [`Self::place`], where up to `kv_caches` sessions are held at once, each with room for the longest of
    /// `prompts` and its answer. One prompt is read at a time.
    ///
    /// # Errors
    /// As [`Self::place`].
    pub fn place_together(
        &self,
        media: &Media,
        prompts: &[&SizedPrompt],
        options: &AskOptions,
        kv_caches: usize,
    ) -> Result<Placing, Error> {
        let views = Views::of(media);
        let demand = Demand { kv_caches, ..self.demand(views, prompts, options) };
        let (devices, memory) = self.budget().place(demand)?;
        Ok(Placing { views, devices, memory })
    }

    /// The error for a placing that does not fit, with requests like it that would.
    pub fn refusal(&self, placing: &Placing, media: &Media, question: &str, options: &AskOptions) -> Error {
        let clip = media.clip();
        let question = self.question(&[], question, options);
        let asked = placing.memory.demand;
        let demand_of = |frames: usize| match clip {
            Some(clip) => Ok(Demand { kv_caches: asked.kv_caches, ..question.demand_of_frames(clip, frames)? }),
            None => Ok(asked),
        };
        self.budget().refusal(&placing.memory, clip.map(|clip| clip.plan().indices.len()), &demand_of)
    }

    /// How long the answer to `prompt` will take to begin, if that is long and on CPUs alone.
    ///
    /// # Errors
    /// A failing device.
    pub fn long_work(&self, media: &Media, prompt: &SizedPrompt, placing: &Placing) -> Result<Option<LongWork>, Error> {
        estimate::long_work(&self.checkpoint, media, placing.views, prompt, &placing.devices)
    }

    /// Reads what the tower is to look at, unless the visual tokens of the same clip are kept on disk. A clip that
    /// turns out to hold another number of frames than its container says is planned anew: prompts about it must be
    /// made again if [`PlannedClip::info`] has another count afterwards.
    ///
    /// Several threads can look at once, each until its own `interrupt`.
    ///
    /// # Errors
    /// A clip that cannot be read as asked, or an interrupt.
    pub fn look(
        &self,
        media: &mut Media,
        devices: &DeviceMap,
        interrupt: &Interrupt,
        watch: &mut Watch<'_>,
    ) -> Result<Seen, Error> {
        let side = self.checkpoint.vision.image_size;
        look::look(media, side, self.memory(devices, interrupt).as_ref(), interrupt, watch)
    }

    /// Loads the weights, unless they are loaded: all of them, or the language model alone if `with_tower` is false.
    ///
    /// # Errors
    /// A tensor that cannot be loaded, or an interrupt.
    pub fn load(&mut self, devices: &DeviceMap, with_tower: bool, watch: &mut Watch<'_>) -> Result<(), Error> {
        if self.model.as_ref().is_some_and(|model| model.has_tower() || !with_tower) {
            return Ok(());
        }
        let Self { checkpoint, vocab_len, interrupt, .. } = self;
        let mut on_progress = events::progress(watch.observer);
        let load = || {
            let model = LlavaVideo::load(checkpoint, *vocab_len, with_tower, devices, interrupt, &mut on_progress)?;
            devices.synchronize().map_err(crate::Error::from)?;
            Ok::<_, Error>(model)
        };
        self.model = Some(watch.timings.load.time(load)?);
        Ok(())
    }

    /// Runs the tower on what was seen of `media`, or takes what is kept of it.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    ///
    /// # Panics
    /// If the model is not loaded, or without the tower where that is needed.
    pub fn encode(&self, media: &Media, seen: Seen, watch: &mut Watch<'_>) -> Result<Visual, Error> {
        let devices = self.model().devices();
        let memory = self.memory(devices, &self.interrupt);
        look::encode(self.model(), devices, media, seen, memory.as_ref(), &self.interrupt, watch)
    }

    fn memory<'a>(&'a self, devices: &'a DeviceMap, interrupt: &'a Interrupt) -> Option<Memory<'a>> {
        let placement = devices.placement(devices.vision_slot());
        let (checkpoint, scheme) = (&self.checkpoint, self.options.scheme);
        self.options.visual_cache.as_ref().map(|cache| Memory { cache, checkpoint, scheme, placement, interrupt })
    }

    /// A conversation over a KV cache of its own, with room for what `placing` was made for.
    ///
    /// # Errors
    /// A failing device.
    ///
    /// # Panics
    /// If the model is not loaded.
    pub fn session(&self, placing: &Placing) -> Result<Session<'_>, Error> {
        let mut session = Session::new(self.model(), &self.interrupt);
        session.reserve(placing.memory.demand.cache_positions)?;
        Ok(session)
    }

    /// Answers `prompt` about `media`, whose visual tokens are `visual`, in `session`. A signal ends the answer and is
    /// no error.
    ///
    /// # Errors
    /// A failing device, or an onlooker that takes no more of the answer.
    pub fn answer(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        (media, visual): (&Media, &[VisualTokens]),
        options: &AskOptions,
        sampling: &SamplingParams,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Error> {
        let rule = plan::stop_rule(&self.checkpoint, options, prompt);
        self.answerer(media, visual).answer(session, prompt, &rule, sampling, watch)
    }

    /// The likeliest of `choices` as an answer to `prompt`, which is asked as by [`Self::answer`].
    ///
    /// # Errors
    /// Nothing to choose from, a failing device, or an onlooker that takes no more of the answer.
    pub fn choose(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        (media, visual): (&Media, &[VisualTokens]),
        choices: &[String],
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Error> {
        self.answerer(media, visual).choose(session, prompt, choices, watch)
    }

    pub(super) fn answerer<'a>(&'a self, media: &Media, visual: &'a [VisualTokens]) -> Answerer<'a> {
        Answerer {
            config: &self.checkpoint.config,
            tokenizer: &self.tokenizer,
            visual,
            shows_pictures: !media.pictures().is_empty(),
            interrupt: &self.interrupt,
        }
    }

    /// Answers `questions` about `media`, each for itself, taking the likeliest tokens: planned, refused or placed,
    /// looked at, loaded unless that was done before, and answered. What is common to the prompts is computed once.
    ///
    /// # Errors
    /// Whatever the stages refuse or fail with; an interrupt ends the answers and is no error.
    pub fn ask<Q: AsRef<str>>(
        &mut self,
        media: &mut Media,
        questions: &[Q],
        options: &AskOptions,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answer>, Error> {
        let (mut timings, mut trace) = (Timings::default(), Trace::default());
        let mut watch = Watch { timings: &mut timings, trace: &mut trace, observer };
        let encoded = |engine: &Self, media: &Media| {
            let prompt = |question: &Q| engine.prompt(media, &[], question.as_ref(), options);
            questions.iter().map(prompt).collect::<Result<Vec<_>, _>>()
        };
        let planned = encoded(self, media)?;
        let placing = self.place(media, &planned.iter().collect::<Vec<_>>(), options)?;
        if !placing.memory.fits() {
            return Err(self.refusal(&placing, media, questions.first().map_or("", AsRef::as_ref), options));
        }
        let seen = self.look(media, &placing.devices, &self.interrupt, &mut watch)?;
        self.load(&placing.devices, seen.needs_tower(), &mut watch)?;
        let visual = self.encode(media, seen, &mut watch)?;
        // Times in the prompt follow the number of frames, which is certain now that the clip has been read.
        let prompts = encoded(self, media)?;
        let sampling = self.sampling(&SamplingOptions::default());
        let mut session = self.session(&placing)?;
        let answer =
            |prompt| self.answer(&mut session, prompt, (media, &visual.tokens), options, &sampling, &mut watch);
        prompts.iter().map(answer).collect()
    }

    fn model(&self) -> &LlavaVideo {
        self.model.as_ref().expect("a model that is loaded")
    }

    pub(super) fn question<'q>(&'q self, past: &'q [Exchange], text: &'q str, options: &'q AskOptions) -> Question<'q> {
        Question { checkpoint: &self.checkpoint, tokenizer: &self.tokenizer, options, past, text }
    }

    pub(super) fn demand(&self, views: Views, prompts: &[&SizedPrompt], options: &AskOptions) -> Demand {
        plan::demand(&self.checkpoint, options, views, prompts)
    }

    pub(super) fn budget(&self) -> Budget<'_> {
        Budget {
            options: &self.options.devices,
            checkpoint: &self.checkpoint,
            vocab_len: self.vocab_len,
            devices: &self.devices,
            overrides: &self.options.overrides,
            scheme: self.options.scheme,
        }
    }
}

/// The checkpoint as the options want it; loading from it ends at an interrupt.
fn open(source: &Source, options: &EngineOptions, interrupt: &Interrupt) -> Result<Checkpoint, Error> {
    let mut checkpoint = Checkpoint::open(source, &options.overrides)?;
    checkpoint.weights.stop_with(interrupt);
    if let Some(scheme) = options.scheme {
        checkpoint.quantize(scheme)?;
    }
    Ok(checkpoint)
}
