//! A loaded model, what it answers, and what a session over it need not compute again.

use llava_video::Error;
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DtypeRequest, Placement};
use llava_video::engine::session::{Prefilled, Session, VisualTokens};
use llava_video::generate::{Generation, Sampler, SamplingParams, StopRule, TextStream, generate};
use llava_video::interrupt::Interrupt;
use llava_video::model::{LlavaVideo, PictureTiles, penalized_prompt_ids, picture_tokens};
use llava_video::prompt::{Prompt, Tokenizer};
use llava_video::trace::Trace;

use super::parity::{load_over, named, resized};
use crate::support::{Case, placement};

/// A model with its checkpoint and tokenizer.
pub(crate) struct Loaded {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) model: LlavaVideo,
    pub(crate) tokenizer: Tokenizer,
}

impl Loaded {
    /// Loads it over two device slots, or one.
    pub(crate) fn new(checkpoint: Checkpoint, two_slots: bool) -> Self {
        Self::on(placement(DtypeRequest::F32), checkpoint, two_slots)
    }

    /// As [`Self::new`], in another arithmetic.
    pub(crate) fn on(slot: Placement, checkpoint: Checkpoint, two_slots: bool) -> Self {
        let layers = checkpoint.config.language.num_layers;
        let devices = match two_slots {
            true => DeviceMap::new(vec![slot.clone(), slot], &[1, layers - 1]),
            false => DeviceMap::single(slot, layers),
        };
        let (model, tokenizer) = load_over(&checkpoint, &devices, true);
        Self { checkpoint, model, tokenizer }
    }

    /// The visual tokens of a golden case.
    pub(crate) fn see(&self, case: &Case) -> Vec<VisualTokens> {
        let (interrupt, trace) = (Interrupt::default(), &mut Trace::default());
        let tokens = match case.facts["kind"].as_str() {
            Some("text_only") => Vec::new(),
            Some("image_anyres") => {
                let (rgb, width, height) = case.picture();
                let layout = picture_tokens(&self.checkpoint).unwrap().layout(width, height).unwrap();
                let tiles = PictureTiles::new(layout, &rgb);
                self.model.encode_pictures(&[&tiles], &interrupt, &mut |_, _, _| (), trace).unwrap()
            }
            _ => {
                let (frames, width, height) = case.frames();
                let frames = resized(&frames, width, height, &self.checkpoint);
                vec![self.model.encode_clip(&frames, &interrupt, &mut |_, _, _| (), trace).unwrap()]
            }
        };
        named(&tokens)
    }

    /// Asks `session` and generates to the end, greedily.
    pub(crate) fn ask(
        &self,
        session: &mut Session<'_>,
        prompt: &Prompt,
        visual: &[VisualTokens],
        max_new_tokens: usize,
    ) -> Answer {
        let trace = &mut Trace::default();
        let prefilled = session.prefill(prompt, visual, max_new_tokens, &mut |_, _, _| (), trace).unwrap();
        let generation = &self.checkpoint.generation;
        let eos = generation.eos_token_ids.iter().copied();
        let rule = StopRule::new(eos, max_new_tokens, prefilled.prompt_tokens, None);
        let counted = penalized_prompt_ids(&self.checkpoint.config, prompt, false);
        let sampler = Sampler::new(&SamplingParams::greedy(generation.repetition_penalty), counted);
        let (first, interrupt) = (prefilled.logits.clone(), Interrupt::default());
        let mut ignore = |_| Ok::<(), Error>(());
        let (ids, _) = generate(first, session, Generation::new(sampler, rule), &interrupt, &mut ignore).unwrap();
        let mut stream = TextStream::default();
        let mut text: String = ids.iter().map(|&id| stream.push(id, &self.tokenizer)).collect();
        text.push_str(&stream.finish());
        Answer { prefilled, ids, text }
    }

    /// Asks a session that knows nothing yet.
    pub(crate) fn ask_afresh(&self, prompt: &Prompt, visual: &[VisualTokens], max_new_tokens: usize) -> Answer {
        let interrupt = Interrupt::default();
        self.ask(&mut Session::new(&self.model, &interrupt), prompt, visual, max_new_tokens)
    }
}

/// What an answer was made from, and what it is.
pub(crate) struct Answer {
    pub(crate) prefilled: Prefilled,
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn ids(&self) -> Vec<i64> {
        self.ids.iter().copied().map(i64::from).collect()
    }
}

/// What a session can use again, worked out from the outside: one entry for each position, visual tokens as negative
/// numbers.
pub(crate) struct Held {
    spelled: Vec<i64>,
    /// With quantized weights what decode steps leave is not used again.
    with_answers: bool,
}

impl Held {
    pub(crate) fn new(with_answers: bool) -> Self {
        Self { spelled: Vec::new(), with_answers }
    }

    /// How many positions of `prompt`, with so many visual tokens at its only place for them, need not be computed.
    /// Remembers what the session holds after that prompt and its answer.
    pub(crate) fn cached_by(&mut self, prompt: &Prompt, visual_tokens: i64, answer: &[u32]) -> usize {
        let spell = |id: i64| if id == -200 { (1..=visual_tokens).map(|n| -n).collect() } else { vec![id] };
        let mut spelled: Vec<i64> = prompt.ids_with_placeholder(-200).into_iter().flat_map(spell).collect();
        let common = self.spelled.iter().zip(&spelled).take_while(|(held, wanted)| held == wanted).count();
        let cached = common.min(spelled.len() - 1);
        if self.with_answers {
            // The last id ended the answer and was never fed back.
            spelled.extend(answer[..answer.len() - 1].iter().copied().map(i64::from));
        }
        self.spelled = spelled;
        cached
    }
}
