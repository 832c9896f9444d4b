//! `ask`: one question about one video or some pictures, from arguments to the streamed answer.

mod announce;
mod answer;
mod pictures;
mod request;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, Source};
use llava_video::device::Placement;
use llava_video::generate::{self, Sampler, SamplingParams, StopReason};
use llava_video::interrupt::Interrupt;
use llava_video::model::{self, ClipFrames, LlavaVideo, Stage};
use llava_video::prompt::Tokenizer;
use llava_video::trace::Trace;

use super::args::AskArgs;
use super::exit::{Exit, UsageError};
use super::file_url;
use super::memory::Budget;
use super::output::Printer;
use super::record::{Outcome, Timings};
use super::request::{self as arguments, PlannedClip};
use super::signals;
use super::stream::Stream;
use answer::Answer;
use request::{Request, SizedPrompt, Views};

pub(crate) use pictures::AskedPicture;

pub(crate) fn run(args: AskArgs, printer: &mut Printer) -> Result<Exit> {
    let started = Instant::now();
    if args.dump_tensors.as_deref() == Some(Path::new("-")) {
        return Err(UsageError("--dump-tensors takes a file, not standard output".to_owned()).into());
    }
    let interrupt = signals::install()?;
    let (files, question) = inputs(&args, &interrupt, printer)?;
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
        return Err(pictures::only_pictures(video.path()).into());
    }
    // Gigabytes are not fetched for a plan alone, nor for what does not fit.
    let found = super::model::find(&args.model, args.offline.then_some("--offline"), &interrupt, printer)?;
    let checkpoint = open(&found.source, &args, &interrupt)?;
    let tokenizer = Tokenizer::open(&found.source).map_err(Error::from)?;
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
        let plan = match args.json {
            true => request
                .asked(&prompt, clip.as_ref(), &pictures, &devices)
                .planned(&memory, printer.warnings())
                .to_string(),
            false => memory.to_string(),
        };
        printer.line(plan.trim_end())?;
    }
    if !memory.fits() {
        return Err(request.refusal(&budget, &memory, clip.as_ref()));
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    announce::announce_long_work(&request, clip.as_ref(), views, &prompt, &devices, printer)?;
    let fetched = found.fetch(&interrupt, printer)?.map(|source| open(&source, &args, &interrupt)).transpose()?;
    let whole = fetched.as_ref().unwrap_or(&checkpoint);

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
    let load = || LlavaVideo::load(whole, vocab_len, with_vision, &devices, &interrupt, &mut progress(printer));
    let model = timings.load.time(load)?;

    let sampling = answer::sampling(&args, &checkpoint.generation);
    let mut answer = Answer::default();
    let run =
        Run { request: &request, model: &model, prompt: &prompt, sampling: &sampling, interrupt: &interrupt, started };
    let outcome = run.generate(frames.as_ref(), &pictures, &mut answer, &mut timings, &mut trace, printer);
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
        let seed = (sampling.temperature > 0.0).then_some(sampling.seed);
        let outcome = Outcome { answer: &text, stop_reason, token_ids: &token_ids, seed, timings: &timings };
        let asked = request.asked(&prompt, clip.as_ref(), &pictures, &devices);
        printer.line(&asked.answered(&outcome, printer.warnings()).to_string())?;
    }
    if let Some(why) = answer::cut_short(stop_reason, token_ids.len()) {
        printer.note(&why);
    }
    if args.timings {
        printer.table(&timings.table());
    }
    Ok(match interrupt.signal() {
        Some(signal) if stop_reason == StopReason::Interrupted => Exit::Interrupted(signal),
        _ => Exit::Done,
    })
}

/// The checkpoint as the request wants it; loading from it ends at an interrupt.
fn open(source: &Source, args: &AskArgs, interrupt: &Interrupt) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::open(source, &args.overrides).map_err(Error::from)?;
    checkpoint.weights.stop_with(interrupt);
    if let Some(scheme) = args.quantize.scheme() {
        checkpoint.quantize(scheme).map_err(Error::from)?;
    }
    Ok(checkpoint)
}

/// A loaded model and what it is asked.
struct Run<'a> {
    request: &'a Request<'a>,
    model: &'a LlavaVideo,
    prompt: &'a SizedPrompt,
    sampling: &'a SamplingParams,
    interrupt: &'a Interrupt,
    /// When the program began.
    started: Instant,
}

impl Run<'_> {
    /// Looks, reads the prompt, and generates: the ids, and why they end.
    fn generate(
        &self,
        frames: Option<&ClipFrames>,
        pictures: &[AskedPicture],
        answer: &mut Answer,
        timings: &mut Timings,
        trace: &mut Trace,
        printer: &mut Printer,
    ) -> Result<(Vec<u32>, StopReason)> {
        let Self { request, model, prompt, sampling, interrupt, .. } = *self;
        let visual = match frames {
            Some(frames) => {
                let encode = || model.encode_clip(frames, interrupt, &mut progress(printer), trace);
                vec![timings.vision.time(encode)?]
            }
            None if pictures.is_empty() => Vec::new(),
            None => {
                let tiles: Vec<_> = pictures.iter().map(|picture| &picture.tiles).collect();
                let encode = || model.encode_pictures(&tiles, interrupt, &mut progress(printer), trace);
                timings.vision.time(encode)?
            }
        };
        let embeds = model.embed_prompt(&prompt.prompt, &visual, trace)?;
        drop(visual);
        let rule = request.stop_rule(prompt);
        let prefill = || model.prefill(&embeds, rule.max_new_tokens, interrupt, &mut progress(printer), trace);
        let (mut session, logits) = timings.prefill.time(prefill)?;
        printer.end_progress();
        let is_shown = !request.args.json;
        let mut is_first = true;
        let mut on_token = |id| {
            if std::mem::take(&mut is_first) {
                printer.detail(&format!("first token after {:.2} s", self.started.elapsed().as_secs_f64()));
            }
            answer.push(id, request.tokenizer, is_shown.then_some(&mut *printer))
        };
        let config = &request.checkpoint.config;
        let prompt_ids = model::penalized_prompt_ids(config, &prompt.prompt, !pictures.is_empty());
        let mut sampler = Sampler::new(sampling, prompt_ids);
        let decode = || generate::generate(logits, &mut session, &mut sampler, &rule, interrupt, &mut on_token);
        timings.decode.time(decode)
    }
}

/// Shows the progress of the model's stages.
fn progress(printer: &mut Printer) -> impl FnMut(Stage, usize, usize) {
    |stage, done, total| match stage {
        Stage::Load => printer.progress("loading", "layers", done, total),
        Stage::Vision => printer.share_progress("vision", done, total),
        Stage::Prefill => printer.progress("prefill", "tokens", done, total),
    }
}

/// The video or the pictures that are asked about, none with `--no-video`, and the question.
fn inputs<'a>(args: &'a AskArgs, interrupt: &Interrupt, printer: &mut Printer) -> Result<(Vec<&'a OsStr>, String)> {
    let (files, question) = args.inputs_and_question();
    let is_stdin = |argument: &OsStr| Stream::named(argument) == Some(Stream::Stdin);
    // With several arguments the likeliest mistake is a question without quotes.
    let is_file = |file: &OsStr| file == "-" || file_url::local_path(file).is_ok_and(|path| path.exists());
    if let Some(other) = files.iter().skip(1).find(|file| !is_file(file)) {
        let other = other.display();
        return Err(UsageError(format!("`{other}` is not a picture; a question of several words needs quotes")).into());
    }
    if args.no_video {
        for file in &files {
            printer.warning(&format!("--no-video: `{}` is not looked at", file.display()));
        }
        return Ok((Vec::new(), arguments::question(question, interrupt, printer)?));
    }
    if files.iter().filter(|argument| is_stdin(argument)).count() + usize::from(question == "-") > 1 {
        return Err(UsageError("standard input can hold the video or the question, not both".to_owned()).into());
    }
    if Path::new(question).is_file() {
        printer.warning(&format!(
            "the question is `{}`, the name of a file; the last argument is the question",
            question.display()
        ));
    }
    Ok((files, arguments::question(question, interrupt, printer)?))
}
