//! How far each quantization of a checkpoint is from the checkpoint itself, on questions about clips.
//!
//! `compare-quantization MODEL QUESTIONS.json [--quantize q8_0,q6_k,...] [--quantize-vision] [--max-new-tokens N]
//! [--device NAME]`
//!
//! QUESTIONS.json is a list of objects with `clip` (a file, relative to the list's folder), `question`, and optionally
//! `frames` (default 110), `time_instruction` (`inline` or `newline`) and `answer` (what is right). First the
//! checkpoint as it is, in f32, on the CPU unless `--device` names another device, answers each question greedily, and
//! the distribution of every next token is kept: 4 bytes for each id of the vocabulary and token generated. Then each
//! quantization is led along the same tokens, and printed:
//!
//! - bytes of the weights, and KL divergence from the kept distributions in nats, mean and largest over all tokens;
//! - the share of tokens whose likeliest id is the same, before the repetition penalty;
//! - the share of questions answered, greedily and left to itself, word for word as the checkpoint answers them, and as
//!   `answer` says, of those that have one.

#![expect(clippy::print_stderr, reason = "a tool for people")]

use std::convert::Infallible;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use llava_video::checkpoint::{Checkpoint, Source, TensorPlan};
use llava_video::device::{DeviceMap, DeviceName, DeviceRequest, Devices, DtypeRequest, Operands, Placement};
use llava_video::engine::session::{Session, VisualId, VisualTokens};
use llava_video::generate::{Decoder, Generation, Sampler, SamplingParams, StopRule, TextStream, generate};
use llava_video::interrupt::Interrupt;
use llava_video::model::{ClipFrames, LlavaVideo, penalized_prompt_ids, vocab_len};
use llava_video::prompt::{self, Conversation, DEFAULT_SYSTEM, Prompt, TimeInstruction, Tokenizer, Turn, user_message};
use llava_video::quantization::{Quantization, Scheme};
use llava_video::score::{kl_divergence, log_probabilities};
use llava_video::size::shown;
use llava_video::trace::Trace;
use llava_video::video::{Clip, ClipOptions, Frame, ReadError, SamplePolicy, View, plan};
use serde::Deserialize;

#[derive(Deserialize)]
struct Question {
    clip: PathBuf,
    question: String,
    frames: Option<usize>,
    time_instruction: Option<String>,
    answer: Option<String>,
}

/// A question as the model gets it.
struct Asked {
    frames: ClipFrames,
    prompt: Prompt,
    answer: Option<String>,
}

/// What the checkpoint itself says: its answer, and before each of its tokens the logarithms of all probabilities.
struct Reference {
    ids: Vec<u32>,
    text: String,
    log_probabilities: Vec<Vec<f32>>,
}

fn main() -> Result<()> {
    compare(std::env::args().skip(1), &mut std::io::stdout())
}

/// The whole of it, so that a test can call it.
pub(crate) fn compare(mut args: impl Iterator<Item = String>, out: &mut dyn Write) -> Result<()> {
    let usage =
        "usage: MODEL QUESTIONS.json [--quantize LIST] [--quantize-vision] [--max-new-tokens N] [--device NAME]";
    let (model, list) = (args.next().context(usage)?, PathBuf::from(args.next().context(usage)?));
    let (mut formats, mut vision, mut max_new_tokens) = (Quantization::ALL.to_vec(), false, 32);
    let mut device = DeviceRequest::List(vec![DeviceName::Cpu]);
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--quantize" => {
                let named = args.next().context("--quantize needs formats")?;
                let format = |name| Quantization::of_name(name).with_context(|| format!("unknown format `{name}`"));
                formats = named.split(',').map(format).collect::<Result<_>>()?;
            }
            "--quantize-vision" => vision = true,
            "--device" => {
                let name = args.next().context("--device needs a name")?;
                device = name.parse().map_err(anyhow::Error::msg)?;
            }
            "--max-new-tokens" => {
                let count = args.next().and_then(|n| n.parse().ok());
                max_new_tokens = count.context("--max-new-tokens needs a number")?;
            }
            other => bail!("unknown flag `{other}`; {usage}"),
        }
    }
    let placement = Devices::open(&device, DtypeRequest::F32)?.placements().remove(0);
    // As answers are given where nobody asks for exact ones.
    let placement = Placement { operands: Operands::Bytes, ..placement };
    let compare = Comparison::open(&model, &list, max_new_tokens, placement)?;
    compare.run(&formats, vision, out)
}

struct Comparison {
    source: Source,
    tokenizer: Tokenizer,
    asked: Vec<Asked>,
    max_new_tokens: usize,
    placement: Placement,
}

impl Comparison {
    fn open(model: &str, list: &Path, max_new_tokens: usize, placement: Placement) -> Result<Self> {
        let source = llava_video::model_name::locate_by_name(model)?;
        let tokenizer = Tokenizer::open(&source)?;
        let image_size = Checkpoint::open(&source, &[])?.vision.image_size;
        let text = std::fs::read(list).with_context(|| format!("cannot read `{}`", list.display()))?;
        let questions: Vec<Question> = serde_json::from_slice(&text).context("the list of questions is malformed")?;
        let folder = list.parent().unwrap_or(Path::new("."));
        let asked = questions.iter().map(|question| ask(question, folder, image_size, &tokenizer));
        Ok(Self { source, asked: asked.collect::<Result<_>>()?, tokenizer, max_new_tokens, placement })
    }

    fn run(&self, formats: &[Quantization], vision: bool, out: &mut dyn Write) -> Result<()> {
        let reference = Loaded::new(self, None)?;
        let bytes = reference.bytes;
        let mut references = Vec::with_capacity(self.asked.len());
        for (index, asked) in self.asked.iter().enumerate() {
            eprintln!("as it is: question {} of {}", index + 1, self.asked.len());
            references.push(reference.answer_recorded(asked)?);
        }
        drop(reference);
        writeln!(out, "| weights | size | KL mean | KL largest | same token | same answer | right |")?;
        writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
        let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
        writeln!(out, "| as they are | {} | 0 | 0 | 1 | 1 | {} |", shown(bytes as u64), self.right(&texts))?;
        for &quantization in formats {
            eprintln!("{}", quantization.name());
            let loaded = Loaded::new(self, Some(Scheme { quantization, vision }))?;
            let (mut divergences, mut same_tokens, mut texts) = (Vec::new(), 0, Vec::new());
            for (asked, reference) in self.asked.iter().zip(&references) {
                let (answer_divergences, same) = loaded.follow(asked, reference)?;
                divergences.extend(answer_divergences);
                same_tokens += same;
                texts.push(loaded.answer(asked)?);
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let same_answers =
                texts.iter().zip(&references).filter(|(text, reference)| **text == reference.text).count();
            let tokens = divergences.len().max(1) as f64;
            writeln!(
                out,
                "| {} | {} | {:.1e} | {:.1e} | {:.4} | {:.4} | {} |",
                quantization.name(),
                shown(loaded.bytes as u64),
                divergences.iter().sum::<f64>() / tokens,
                divergences.iter().copied().fold(0.0, f64::max),
                same_tokens as f64 / tokens,
                same_answers as f64 / texts.len().max(1) as f64,
                self.right(&texts),
            )?;
        }
        Ok(())
    }

    /// The share of right answers, of those that can be right.
    fn right(&self, texts: &[&str]) -> String {
        let pairs = texts.iter().zip(&self.asked).filter_map(|(text, asked)| Some((text, asked.answer.as_ref()?)));
        let (right, all) =
            pairs.fold((0, 0), |(right, all), (text, answer)| (right + usize::from(text == answer), all + 1));
        if all == 0 {
            "-".to_owned()
        } else {
            format!("{:.4}", f64::from(u32::try_from(right).unwrap_or(0)) / f64::from(all))
        }
    }
}

fn ask(question: &Question, folder: &Path, image_size: usize, tokenizer: &Tokenizer) -> Result<Asked> {
    let path = folder.join(&question.clip);
    let mut clip = Clip::open(&path, &ClipOptions::default())?;
    let policy = SamplePolicy { max_frames: question.frames.unwrap_or(110), fps: None };
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, &policy);
    let mut resized = Vec::new();
    let mut sink = |frame: Frame| {
        resized.push(frame.rgb);
        Ok::<(), Infallible>(())
    };
    clip.read(&plan.indices, View::Resized(image_size), &mut sink).map_err(|error| match error {
        ReadError::Clip(error) => error,
        ReadError::Sink(never) => match never {},
    })?;
    let placement = match question.time_instruction.as_deref() {
        None | Some("none") => TimeInstruction::None,
        Some("inline") => TimeInstruction::Inline,
        Some("newline") => TimeInstruction::Newline,
        Some(other) => bail!("unknown time_instruction `{other}`"),
    };
    let parts = user_message(placement, clip.info().duration_secs(), &plan.label_secs, &question.question);
    let conversation = Conversation { system: Some(DEFAULT_SYSTEM.to_owned()), turns: vec![Turn::User(parts)] };
    Ok(Asked {
        frames: ClipFrames::new(resized, &plan.indices),
        prompt: prompt::encode(&conversation, tokenizer)?,
        answer: question.answer.clone(),
    })
}

/// A model, and what answering needs.
struct Loaded<'c> {
    compare: &'c Comparison,
    checkpoint: Checkpoint,
    model: LlavaVideo,
    interrupt: Interrupt,
    bytes: usize,
}

impl<'c> Loaded<'c> {
    fn new(compare: &'c Comparison, scheme: Option<Scheme>) -> Result<Self> {
        let mut checkpoint = Checkpoint::open(&compare.source, &[])?;
        if let Some(scheme) = scheme {
            checkpoint.quantize(scheme)?;
        }
        let bytes = checkpoint.plan().iter().map(TensorPlan::bytes).sum();
        let devices = DeviceMap::single(compare.placement.clone(), checkpoint.config.language.num_layers);
        let interrupt = Interrupt::default();
        let vocab = vocab_len(&checkpoint, &compare.tokenizer);
        let model = LlavaVideo::load(&checkpoint, vocab, true, &devices, &interrupt, &mut |_, _, _| ())?;
        Ok(Self { compare, checkpoint, model, interrupt, bytes })
    }

    /// Runs the prompt and hands the first logits and the session to `then`.
    fn prefilled<T>(&self, asked: &Asked, then: impl FnOnce(Vec<f32>, &mut dyn Decoder) -> Result<T>) -> Result<T> {
        let mut trace = Trace::default();
        let visual = self.model.encode_clip(&asked.frames, &self.interrupt, &mut |_, _, _| (), &mut trace)?;
        let visual = [VisualTokens { id: VisualId(0), tokens: visual }];
        let mut session = Session::new(&self.model, &self.interrupt);
        let room = self.compare.max_new_tokens;
        let prefilled = session.prefill(&asked.prompt, &visual, room, &mut |_, _, _| (), &mut trace)?;
        then(prefilled.logits, &mut session)
    }

    /// The greedy continuation as ids and text.
    fn greedy(&self, asked: &Asked, first: Vec<f32>, decoder: &mut dyn Decoder) -> Result<(Vec<u32>, String)> {
        let generation = &self.checkpoint.generation;
        let rule = StopRule::new(generation.eos_token_ids.iter().copied(), self.compare.max_new_tokens, 0, None);
        let prompt_ids = penalized_prompt_ids(&self.checkpoint.config, &asked.prompt, false);
        let sampler = Sampler::new(&SamplingParams::greedy(generation.repetition_penalty), prompt_ids);
        let (mut stream, mut text) = (TextStream::default(), String::new());
        let mut on_token = |id| {
            text.push_str(&stream.push(id, &self.compare.tokenizer));
            Ok::<(), llava_video::Error>(())
        };
        let (ids, _) = generate(first, decoder, Generation::new(sampler, rule), &self.interrupt, &mut on_token)?;
        text.push_str(&stream.finish());
        Ok((ids, text))
    }

    fn answer(&self, asked: &Asked) -> Result<String> {
        self.prefilled(asked, |first, decoder| Ok(self.greedy(asked, first, decoder)?.1))
    }

    fn answer_recorded(&self, asked: &Asked) -> Result<Reference> {
        self.prefilled(asked, |first, decoder| {
            let mut recorder = Recorder { decoder, log_probabilities: vec![narrowed(&first)] };
            let (ids, text) = self.greedy(asked, first, &mut recorder)?;
            Ok(Reference { ids, text, log_probabilities: recorder.log_probabilities })
        })
    }

    /// Divergences before each of the reference's tokens, and how often the likeliest id is the same.
    fn follow(&self, asked: &Asked, reference: &Reference) -> Result<(Vec<f64>, usize)> {
        self.prefilled(asked, |first, decoder| {
            let (mut divergences, mut same, mut logits) = (Vec::new(), 0, first);
            for (index, expected) in reference.log_probabilities.iter().enumerate() {
                let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                let got = log_probabilities(&logits);
                divergences.push(kl_divergence(&expected, &got));
                same += usize::from(likeliest(&expected) == likeliest(&got));
                if index + 1 < reference.log_probabilities.len() {
                    logits = decoder.step(reference.ids[index])?;
                }
            }
            Ok((divergences, same))
        })
    }
}

/// Keeps the distribution of every step.
struct Recorder<'d> {
    decoder: &'d mut dyn Decoder,
    log_probabilities: Vec<Vec<f32>>,
}

impl Decoder for Recorder<'_> {
    fn step(&mut self, id: u32) -> Result<Vec<f32>, llava_video::Error> {
        let logits = self.decoder.step(id)?;
        self.log_probabilities.push(narrowed(&logits));
        Ok(logits)
    }
}

fn narrowed(logits: &[f32]) -> Vec<f32> {
    log_probabilities(logits).into_iter().map(|log| log as f32).collect()
}

fn likeliest(log_probabilities: &[f64]) -> Option<usize> {
    (0..log_probabilities.len()).max_by(|&a, &b| log_probabilities[a].total_cmp(&log_probabilities[b]))
}
