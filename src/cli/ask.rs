//! `ask`: one question about one video or some pictures, from arguments to the streamed answer.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use llava_video::Error;
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, Placement};
use llava_video::estimate::{self, Work};
use llava_video::generate::{self, Sampler, SamplingParams, StopReason, StopRule, TextStream};
use llava_video::interrupt::Interrupt;
use llava_video::memory::{Demand, MemoryPlan};
use llava_video::model::{self, ClipFrames, LlavaVideo, Stage};
use llava_video::prompt::{self, Conversation, DEFAULT_SYSTEM, Part, Prompt, TimeInstruction, Tokenizer, Turn};
use llava_video::prompt::{picture_message, user_message};
use llava_video::quantization::{TensorPlan, fallbacks};
use llava_video::trace::Trace;
use llava_video::video;
use llava_video::video::isolated::View;
use llava_video::vision::pool::VideoTokens;
use llava_video::vision::preprocess;

use super::args::AskArgs;
use super::exit::{Exit, UsageError};
use super::memory::Budget;
use super::output::Printer;
use super::picture_input::{self, AskedPicture, PictureReader};
use super::record::{Record, Timings};
use super::request::{self, PlannedClip};
use super::signals;

/// Work on a CPU that takes longer than this is announced.
const LONG_WORK_SECS: f64 = 60.0;

pub(crate) fn run(args: AskArgs, printer: &mut Printer) -> Result<Exit> {
    let started = Instant::now();
    let (files, question) = inputs(&args, printer)?;
    let interrupt = signals::install()?;
    let mut timings = Timings::default();
    let mut trace = if args.dump_tensors.is_some() { Trace::recording() } else { Trace::default() };

    // Everything that can be refused is refused before weights are loaded.
    let placements = Placement::open_all(&args.devices.device, args.devices.dtype).map_err(Error::from)?;
    let mut clip = match files.is_empty() {
        false => Some(timings.probe.time(|| PlannedClip::open(&args.clip, &interrupt, printer))?),
        true => None,
    };
    let first_picture = clip.take_if(|clip| clip.info().is_picture());
    if let Some(video) = clip.as_ref().filter(|_| files.len() > 1) {
        return Err(picture_input::only_pictures(video.path()).into());
    }
    // Gigabytes are not fetched for a plan alone.
    let offline = args.dry_run.then_some("--dry-run").or(args.offline.then_some("--offline"));
    let source = super::model::obtain(&args.model, offline, &interrupt, printer)?;
    let mut checkpoint = Checkpoint::open(&source, &args.overrides).map_err(Error::from)?;
    if let Some(scheme) = args.quantize.scheme() {
        checkpoint.quantize(scheme).map_err(Error::from)?;
    }
    let tokenizer = Tokenizer::open(&source).map_err(Error::from)?;
    let request = Request { args: &args, question: &question, tokenizer: &tokenizer, checkpoint: &checkpoint };
    let pictures = match first_picture {
        Some(first) => request.pictures(first, &files[1..], &interrupt, &mut timings, printer)?,
        None => Vec::new(),
    };
    let mut prompt = match pictures.is_empty() {
        true => request.prompt(clip.as_ref())?,
        false => request.picture_prompt(pictures.len(), pictures.iter().map(AskedPicture::visual_tokens).sum())?,
    };
    let views = Views::of(clip.as_ref(), &pictures);
    let vocab_len = model::vocab_len(&checkpoint, &tokenizer);
    let budget = Budget {
        args: &args.devices,
        checkpoint: &checkpoint,
        vocab_len,
        placements: &placements,
        overrides: &args.overrides,
        scheme: args.quantize.scheme(),
    };
    let (devices, memory) = budget.place(request.demand(views, &prompt))?;
    request.describe(&devices, clip.as_ref(), &prompt, printer);
    pictures.iter().for_each(|picture| printer.detail(&picture.describe()));
    if args.dry_run {
        printer.line(memory.to_string().trim_end())?;
    }
    if !memory.fits() {
        return Err(request.refusal(&budget, &memory, clip.as_ref()));
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    announce_long_work(&request, clip.as_ref(), views, &prompt, &devices, printer)?;

    let frames = match &mut clip {
        Some(clip) => {
            let counted = clip.info().frame_count;
            let frames = timings.video_decode.time(|| request.frames(clip, &interrupt, &mut trace, printer))?;
            // Times and duration in the prompt follow the number of frames.
            if clip.info().frame_count != counted {
                prompt = request.prompt(Some(clip))?;
            }
            Some(frames)
        }
        None => None,
    };

    let with_vision = views.distinct > 0;
    let load = || LlavaVideo::load(&checkpoint, vocab_len, with_vision, &devices, &interrupt, &mut progress(printer));
    let model = timings.load.time(load)?;

    let mut answer = Answer { text: String::new(), stream: TextStream::default() };
    let sampling = request.sampling();
    let outcome = (|| {
        let visual = match &frames {
            Some(frames) => vec![
                timings.vision.time(|| model.encode_clip(frames, &interrupt, &mut progress(printer), &mut trace))?,
            ],
            None if pictures.is_empty() => Vec::new(),
            None => {
                let tiles: Vec<_> = pictures.iter().map(|picture| &picture.tiles).collect();
                let encode = || model.encode_pictures(&tiles, &interrupt, &mut progress(printer), &mut trace);
                timings.vision.time(encode)?
            }
        };
        let embeds = model.embed_prompt(&prompt.prompt, &visual, &mut trace)?;
        drop(visual);
        let rule = request.stop_rule(&prompt);
        let prefill = || model.prefill(&embeds, rule.max_new_tokens, &interrupt, &mut progress(printer), &mut trace);
        let (mut session, logits) = timings.prefill.time(prefill)?;
        printer.end_progress();
        let mut on_token = |id| answer.push(id, &tokenizer, (!args.json).then_some(&mut *printer));
        let mut sampler = Sampler::new(&sampling);
        let decode = || generate::generate(logits, &mut session, &mut sampler, &rule, &interrupt, &mut on_token);
        timings.decode.time(decode)
    })();
    let (token_ids, stop_reason) = match outcome {
        Ok(outcome) => outcome,
        Err(error) if matches!(Exit::of(&error), Exit::Interrupted(_)) => (Vec::new(), StopReason::Interrupted),
        Err(error) => return Err(error),
    };
    printer.end_progress();
    timings.finish(started, prompt.tokens, token_ids.len());
    if let Some(path) = &args.dump_tensors {
        let ids: Vec<i64> = token_ids.iter().copied().map(i64::from).collect();
        trace.record("generated_ids", &Tensor::new(ids, &Device::Cpu)?)?;
        trace.save(path).with_context(|| format!("cannot write tensors to `{}`", path.display()))?;
    }

    let text = answer.finish((!args.json).then_some(&mut *printer), !token_ids.is_empty())?;
    if args.json {
        let record = Record {
            answer: &text,
            stop_reason,
            token_ids: &token_ids,
            prompt_tokens: prompt.tokens,
            visual_tokens: prompt.visual_tokens,
            clip: clip.as_ref(),
            pictures: &pictures,
            model: &args.model,
            devices: &devices,
            quantize: args.quantize.quantize,
            seed: (sampling.temperature > 0.0).then_some(sampling.seed),
            timings: &timings,
        };
        printer.line(&record.to_json())?;
    }
    if args.timings {
        printer.table(&timings.table());
    }
    Ok(match interrupt.signal() {
        Some(signal) if stop_reason == StopReason::Interrupted => Exit::Interrupted(signal),
        _ => Exit::Done,
    })
}

/// Shows the progress of the model's stages.
fn progress(printer: &mut Printer) -> impl FnMut(Stage, usize, usize) {
    |stage, done, total| match stage {
        Stage::Load => printer.progress("loading", "layers", done, total),
        Stage::Vision => printer.progress("vision", "frames", done, total),
        Stage::Tiles => printer.progress("vision", "tiles", done, total),
        Stage::Prefill => printer.progress("prefill", "tokens", done, total),
    }
}

/// The video or the pictures that are asked about, none with `--no-video`, and the question.
fn inputs<'a>(args: &'a AskArgs, printer: &mut Printer) -> Result<(Vec<&'a OsStr>, String)> {
    let (files, question) = args.inputs_and_question();
    // With several arguments the likeliest mistake is a question without quotes.
    let is_file = |file: &OsStr| file == "-" || Path::new(file).exists();
    if let Some(other) = files.iter().skip(1).find(|file| !is_file(file)) {
        let other = other.display();
        return Err(UsageError(format!("`{other}` is not a picture; a question of several words needs quotes")).into());
    }
    if args.no_video {
        for file in &files {
            printer.warning(&format!("--no-video: `{}` is not looked at", file.display()));
        }
        return Ok((Vec::new(), request::question(question)?));
    }
    if files.iter().chain([&question]).filter(|argument| **argument == "-").count() > 1 {
        return Err(UsageError("standard input can hold the video or the question, not both".to_owned()).into());
    }
    if Path::new(question).is_file() {
        printer.warning(&format!(
            "the question is `{}`, the name of a file; the last argument is the question",
            question.display()
        ));
    }
    Ok((files, request::question(question)?))
}

/// What the vision tower has to look at.
#[derive(Debug, Clone, Copy)]
struct Views {
    /// Distinct frames, or tiles of all pictures.
    distinct: usize,
    /// The most tiles of one picture, which are merged together.
    tiles_at_once: usize,
}

impl Views {
    fn of(clip: Option<&PlannedClip>, pictures: &[AskedPicture]) -> Self {
        let tiles = || pictures.iter().map(|picture| picture.tiles.tiles.len());
        Self {
            distinct: clip.map_or_else(|| tiles().sum(), PlannedClip::distinct_frames),
            tiles_at_once: tiles().max().unwrap_or(0),
        }
    }
}

/// What is asked, of which checkpoint.
struct Request<'a> {
    args: &'a AskArgs,
    question: &'a str,
    tokenizer: &'a Tokenizer,
    checkpoint: &'a Checkpoint,
}

/// A prompt that fits the context, with its length.
struct SizedPrompt {
    prompt: Prompt,
    /// Positions, visual tokens included.
    tokens: usize,
    visual_tokens: usize,
}

impl Request<'_> {
    /// The prompt for the clip's plan.
    ///
    /// # Errors
    /// A prompt that leaves no room for an answer, naming the number of frames that would.
    fn prompt(&self, clip: Option<&PlannedClip>) -> Result<SizedPrompt> {
        let Some(clip) = clip else {
            let sized = self.sized(vec![Part::Text(self.question.to_owned())], 0)?;
            return self.fitting(sized, || Ok(None));
        };
        let rule = model::video_tokens(self.checkpoint)?;
        let sized = self.clip_prompt(clip, rule, &clip.plan)?;
        let frames = clip.plan.indices.len();
        self.fitting(sized, || self.frames_that_fit(clip, rule, frames))
    }

    /// Decodes and cuts the pictures.
    ///
    /// # Errors
    /// Pictures that do not fit the context, a checkpoint that does not say how to look at them, or a time instruction.
    fn pictures(
        &self,
        first: PlannedClip,
        more: &[&OsStr],
        interrupt: &Interrupt,
        timings: &mut Timings,
        printer: &mut Printer,
    ) -> Result<Vec<AskedPicture>> {
        let is_told_times = self.args.time_instruction != TimeInstruction::None;
        if let Some(flag) = self.args.clip.time_flag().or(is_told_times.then_some("--time-instruction")) {
            let path = first.path().display();
            return Err(UsageError(format!("{flag} is for videos, and `{path}` is a picture")).into());
        }
        let rule = model::picture_tokens(self.checkpoint)?;
        let mut reader = PictureReader { args: &self.args.clip, rule: &rule, interrupt, timings, printer };
        reader.read_all(first, more, &|pictures, visual_tokens| self.picture_prompt(pictures, visual_tokens).map(drop))
    }

    /// The prompt for so many pictures, which take so many visual tokens together.
    fn picture_prompt(&self, pictures: usize, visual_tokens: usize) -> Result<SizedPrompt> {
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

    fn clip_prompt(&self, clip: &PlannedClip, rule: VideoTokens, plan: &video::FramePlan) -> Result<SizedPrompt> {
        let duration_secs = clip.info().duration_secs();
        let parts = user_message(self.args.time_instruction, duration_secs, &plan.label_secs, self.question);
        self.sized(parts, rule.count(plan.indices.len()))
    }

    fn sized(&self, parts: Vec<Part>, visual_tokens: usize) -> Result<SizedPrompt> {
        let system = self.args.system.as_deref().unwrap_or(DEFAULT_SYSTEM);
        let conversation =
            Conversation { system: (!system.is_empty()).then(|| system.to_owned()), turns: vec![Turn::User(parts)] };
        let prompt = prompt::encode(&conversation, self.tokenizer).map_err(Error::from)?;
        Ok(SizedPrompt { tokens: prompt.len(visual_tokens), visual_tokens, prompt })
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

    /// The largest `--frames` below `frames` whose uniform plan fits, found by halving: more frames take more room.
    fn frames_that_fit(&self, clip: &PlannedClip, rule: VideoTokens, frames: usize) -> Result<Option<usize>> {
        let (mut fitting, mut too_many) = (0, frames);
        while too_many - fitting > 1 {
            let middle = fitting + (too_many - fitting) / 2;
            let policy = video::SamplePolicy { max_frames: middle, fps: None };
            let plan = video::plan(clip.info().frame_count, clip.info().avg_fps, &policy);
            let fits = self.fits(&self.clip_prompt(clip, rule, &plan)?);
            *(if fits { &mut fitting } else { &mut too_many }) = middle;
        }
        Ok((fitting > 0).then_some(fitting))
    }

    fn stop_rule(&self, prompt: &SizedPrompt) -> StopRule {
        let eos = self.checkpoint.generation.eos_token_ids.iter().copied();
        StopRule::new(eos, self.args.max_new_tokens, prompt.tokens, self.checkpoint.config.context_length)
    }

    /// What the request asks of memory.
    fn demand(&self, views: Views, prompt: &SizedPrompt) -> Demand {
        Demand {
            distinct_frames: (views.distinct > 0).then_some(views.distinct),
            tiles_at_once: views.tiles_at_once,
            visual_tokens: prompt.visual_tokens,
            prompt_tokens: prompt.tokens,
            cache_positions: prompt.tokens + self.stop_rule(prompt).max_new_tokens,
        }
    }

    /// The error for a request that does not fit, with those like it that would.
    fn refusal(&self, budget: &Budget<'_>, memory: &MemoryPlan, clip: Option<&PlannedClip>) -> anyhow::Error {
        let demand_of = |frames: usize| {
            let (Some(clip), rule) = (clip, model::video_tokens(self.checkpoint)?) else {
                bail!("there are no frames");
            };
            let policy = video::SamplePolicy { max_frames: frames, fps: None };
            let plan = video::plan(clip.info().frame_count, clip.info().avg_fps, &policy);
            let distinct = video::distinct(&plan.indices).len();
            let prompt = self.clip_prompt(clip, rule, &plan)?;
            Ok(self.demand(Views { distinct, tiles_at_once: 0 }, &prompt))
        };
        budget.refusal(memory, clip.map(|clip| clip.plan.indices.len()), &demand_of)
    }

    /// Decodes the planned frames. They come resized, unless full pictures are to be dumped.
    fn frames(
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
    fn describe(&self, devices: &DeviceMap, clip: Option<&PlannedClip>, prompt: &SizedPrompt, printer: &mut Printer) {
        let plan = self.checkpoint.plan(self.args.quantize.scheme());
        let megabytes = plan.iter().map(TensorPlan::bytes).sum::<usize>() / 1_000_000;
        let (names, dtype) = (devices.names(), devices.dtype_name());
        printer.detail(&format!(
            "model: `{}`, {megabytes} MB of weights, on {names} in {dtype}",
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

    fn sampling(&self) -> SamplingParams {
        let (args, defaults) = (self.args, &self.checkpoint.generation);
        SamplingParams {
            temperature: args.temperature,
            top_p: args.top_p.or(defaults.top_p),
            top_k: args.top_k.or(defaults.top_k),
            repetition_penalty: args.repetition_penalty.unwrap_or(defaults.repetition_penalty),
            seed: args.seed.unwrap_or_else(random_seed),
        }
    }
}

/// A seed from the operating system's randomness, by way of the standard library's hasher keys.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// The answer as far as it is known.
struct Answer {
    text: String,
    stream: TextStream,
}

impl Answer {
    /// Takes an id; what becomes certain is shown at once if there is a printer.
    fn push(&mut self, id: u32, tokenizer: &Tokenizer, printer: Option<&mut Printer>) -> Result<()> {
        let piece = self.stream.push(id, tokenizer);
        self.show(&piece, printer)
    }

    fn show(&mut self, piece: &str, printer: Option<&mut Printer>) -> Result<()> {
        self.text.push_str(piece);
        match printer {
            Some(printer) if !piece.is_empty() => printer.answer(piece),
            _ => Ok(()),
        }
    }

    /// Ends the answer, with a newline if anything was generated, and returns the whole of it.
    fn finish(mut self, mut printer: Option<&mut Printer>, generated: bool) -> Result<String> {
        let rest = std::mem::take(&mut self.stream).finish();
        self.show(&rest, printer.as_deref_mut())?;
        match printer {
            Some(printer) if generated => printer.answer("\n")?,
            _ => {}
        }
        Ok(self.text)
    }
}

/// Says how long a long run on a CPU will take, and which `--frames` would take less.
fn announce_long_work(
    request: &Request<'_>,
    clip: Option<&PlannedClip>,
    views: Views,
    prompt: &SizedPrompt,
    devices: &DeviceMap,
    printer: &mut Printer,
) -> Result<()> {
    let placement = devices.placement(devices.vision_slot());
    if !devices.slots().iter().all(|slot| slot.device.is_cpu()) {
        return Ok(());
    }
    let work = Work::of(request.checkpoint);
    let flops = work.flops(views.distinct, prompt.tokens);
    // Below this no machine takes a minute, and measuring would only cost time.
    if flops < LONG_WORK_SECS * 1e9 {
        return Ok(());
    }
    let rate = estimate::sustained_flops_per_sec(placement)?;
    let expected_secs = flops / rate;
    if expected_secs < LONG_WORK_SECS {
        return Ok(());
    }
    let mut message = format!("the answer will start after about {} on the CPU", rounded_time(expected_secs));
    if let Some(clip) = clip {
        let rule = model::video_tokens(request.checkpoint)?;
        let text_tokens = prompt.tokens - prompt.visual_tokens;
        let secs_with = |frames: usize| {
            let distinct = frames.min(clip.info().frame_count);
            work.flops(distinct, text_tokens + rule.count(frames)) / rate
        };
        let frames = clip.plan.indices.len();
        let halves = std::iter::successors(Some(frames / 2), |n| Some(n / 2)).take_while(|&n| n > 0);
        // The largest that stays under a minute, else a single frame.
        let fewer = halves.clone().find(|&n| secs_with(n) < LONG_WORK_SECS).or(halves.last());
        if let Some(fewer) = fewer {
            message += &format!("; with `--frames {fewer}` after about {}", rounded_time(secs_with(fewer)));
        }
    }
    printer.note(&message);
    Ok(())
}

/// A time in words, as exact as the estimate deserves.
fn rounded_time(secs: f64) -> String {
    match secs {
        s if s < 90.0 => format!("{} s", s.ceil()),
        s if s < 5400.0 => format!("{} min", (s / 60.0).round()),
        s => format!("{:.1} h", s / 3600.0),
    }
}
