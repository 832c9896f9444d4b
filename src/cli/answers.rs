//! The questions of one `ask`: as prompts, as plans, and answered one after the other over one KV cache.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use console::truncate_str;
use llava_video::Error;
use llava_video::engine::{self, Answer, AskOptions, Engine, Media, Placing, SizedPrompt, Visual};
use llava_video::generate::StopReason;
use llava_video::interrupt::Interrupt;

use super::announce;
use super::args::AskArgs;
use super::desk::Desk;
use super::exit::Exit;
use super::observer::surface;
use super::output::Printer;
use super::record::{Outcome, Request, timings_table};

/// How much of a question is shown where one of several fails.
const SHOWN_QUESTION_COLUMNS: usize = 60;

/// What is asked, in order.
pub(crate) struct Questions<'a> {
    pub(crate) args: &'a AskArgs,
    pub(crate) options: &'a AskOptions,
    pub(crate) texts: &'a [String],
    /// The answers to choose from; `None` where the model answers freely.
    pub(crate) choices: Option<&'a [String]>,
    /// One for each text, once they are encoded; none for a question that failed.
    prompts: Vec<Option<SizedPrompt>>,
}

impl<'a> Questions<'a> {
    pub(crate) fn new(
        args: &'a AskArgs,
        options: &'a AskOptions,
        texts: &'a [String],
        choices: Option<&'a [String]>,
    ) -> Self {
        Self { args, options, texts, choices, prompts: Vec::new() }
    }

    /// Encodes each as a prompt about `media`. One of several that does not fit the context fails alone.
    pub(crate) fn encode(&mut self, engine: &Engine, media: &Media, desk: &mut Desk<'_>) -> Result<()> {
        let mut prompts = Vec::with_capacity(self.texts.len());
        for text in self.texts {
            prompts.push(match engine.prompt(media, &[], text, self.options) {
                Ok(prompt) => Some(prompt),
                Err(error) if self.texts.len() > 1 => {
                    self.tell_failure(text, surface(error), desk.printer());
                    None
                }
                Err(error) => return Err(surface(error)),
            });
        }
        self.prompts = prompts;
        Ok(())
    }

    /// Says on stderr which question failed, and why.
    fn tell_failure(&self, text: &str, error: anyhow::Error, printer: &mut Printer) {
        printer.error(&error.context(format!("the question `{}`", truncate_str(text, SHOWN_QUESTION_COLUMNS, "..."))));
    }

    /// The prompts of those that did not fail.
    pub(crate) fn fitting(&self) -> Vec<&SizedPrompt> {
        self.prompts.iter().flatten().collect()
    }

    /// The longest of them.
    pub(crate) fn longest(&self) -> Option<&SizedPrompt> {
        self.prompts.iter().flatten().max_by_key(|prompt| prompt.tokens)
    }

    fn request<'r>(
        &'r self,
        question: &'r str,
        prompt: &'r SizedPrompt,
        media: &'r Media,
        placing: &'r Placing,
    ) -> Request<'r> {
        let (model, quantize) =
            (&self.args.answering.asking.checkpoint.model, self.args.answering.asking.checkpoint.quantize.quantize);
        Request { question, prompt, media, model, devices: &placing.devices, quantize }
    }

    /// What `--dry-run` prints: the memory of the longest question, or with `--json` an object for each.
    pub(crate) fn print_plans(&self, media: &Media, placing: &Placing, printer: &mut Printer) -> Result<()> {
        if !self.args.answering.json {
            return printer.line(placing.memory.to_string().trim_end());
        }
        for (text, prompt) in self.texts.iter().zip(&self.prompts) {
            let Some(prompt) = prompt else { continue };
            let plan = self.request(text, prompt, media, placing).planned(&placing.memory, printer.warnings());
            printer.line(&plan.to_string())?;
        }
        Ok(())
    }

    /// Answers them over one KV cache, in order.
    pub(crate) fn answer(
        &self,
        engine: &Engine,
        media: &Media,
        visual: Result<Visual, engine::Error>,
        placing: &Placing,
        interrupt: &Interrupt,
        desk: &mut Desk<'_>,
    ) -> Result<Exit> {
        let visual = match visual {
            Err(engine::Error::Stage(Error::Interrupted(_))) => None,
            visual => Some(visual.map_err(surface)?),
        };
        let sampling = engine.sampling(&self.args.answering.asking.sampling());
        let mut session = engine.session(placing).map_err(surface)?;
        let mut frames_encoded = visual.as_ref().map_or(0, |visual| visual.frames_encoded);
        let mut is_first = true;
        for (text, prompt) in self.texts.iter().zip(&self.prompts) {
            let Some(prompt) = prompt else { continue };
            if !std::mem::take(&mut is_first) && !self.args.answering.json {
                desk.printer().answer("\n")?;
            }
            let answer = match &visual {
                Some(visual) => {
                    let (shown, watch) = ((media, visual.tokens.as_slice()), &mut desk.watch());
                    let answer = match self.choices {
                        Some(choices) => engine.choose(&mut session, prompt, shown, choices, watch),
                        None => engine.answer(&mut session, prompt, shown, self.options, &sampling, watch),
                    };
                    answer.map_err(|error| desk.onlooker.surface(error))?
                }
                None => Answer::interrupted(),
            };
            let seed = (sampling.temperature > 0.0).then_some(sampling.seed);
            let (timings, total) = desk.take_timings();
            let outcome = Outcome { answer: &answer, frames_encoded, seed, timings, total };
            self.finish(&self.request(text, prompt, media, placing), &outcome, desk)?;
            // Those that come after see the same visual tokens.
            frames_encoded = 0;
            if answer.stop_reason == StopReason::Interrupted {
                return Ok(interrupt.signal().map_or(Exit::Done, Exit::Interrupted));
            }
        }
        Ok(if self.prompts.iter().all(Option::is_some) { Exit::Done } else { Exit::SomeFailed })
    }

    /// Ends an answer whose text was streamed: the newline or the record, and what is to be said beside it.
    fn finish(&self, request: &Request<'_>, outcome: &Outcome<'_>, desk: &mut Desk<'_>) -> Result<()> {
        desk.printer().end_progress();
        let answer = outcome.answer;
        if let Some(path) = &self.args.dump_tensors {
            let ids: Vec<i64> = answer.token_ids.iter().copied().map(i64::from).collect();
            desk.trace.record("generated_ids", &Tensor::new(ids, &Device::Cpu)?)?;
            desk.trace.save(path).with_context(|| format!("cannot write tensors to `{}`", path.display()))?;
        }
        let printer = desk.printer();
        if self.args.answering.json {
            printer.line(&request.answered(outcome, printer.warnings()).to_string())?;
        } else if !answer.token_ids.is_empty() {
            printer.answer("\n")?;
        }
        if let Some(why) = announce::cut_short(answer.stop_reason, answer.token_ids.len()) {
            printer.note(&why);
        }
        if self.args.answering.timings {
            printer.table(&timings_table(&outcome.timings, outcome.total));
        }
        Ok(())
    }
}
