//! Many prompts over one session against fresh sessions: the same ids, and only what differs is computed.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use candle_core::{Device, Tensor};
use llava_video::Error;
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DtypeRequest, Operands, Placed};
use llava_video::engine::session::{Prefilled, Session, VisualId, VisualTokens};
use llava_video::generate::Decoder;
use llava_video::interrupt::Interrupt;
use llava_video::model::Stage;
use llava_video::prompt::{Prompt, Segment};
use llava_video::quantization::{Quantization, Scheme};
use llava_video::trace::Trace;
use proptest::prelude::*;

use super::loaded::{Answer, Held, Loaded};
use super::prompts::encode_reference_prompt;
use crate::support::wide::{self, SMALL};
use crate::support::{Case, SINGLE, device, golden_checkpoint, placement, rounding};

fn visual_count(visual: &[VisualTokens]) -> i64 {
    visual.iter().map(|visual| visual.tokens.tensor().dims()[0] as i64).sum()
}

#[track_caller]
fn assert_near(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let difference = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= tolerance, "{what}: logits differ by {difference:.1e}");
}

const OPEN_END: &str = "<|im_end|>\n<|im_start|>assistant\n";

/// The same prompt with another question.
fn with_question(prompt: &str, question: &str) -> String {
    let (before, _) = prompt.strip_suffix(OPEN_END).unwrap().rsplit_once('\n').unwrap();
    format!("{before}\n{question}{OPEN_END}")
}

/// Asks one session the case's question and others, among them one that differs in its last sign only and one that
/// follows an answer, and holds every answer to that of a fresh session.
fn many_questions(case: &Case, loaded: &Loaded, logits_tolerance: f32) -> Vec<Answer> {
    const MAX_NEW_TOKENS: usize = 32;
    let visual = loaded.see(case);
    let interrupt = Interrupt::default();
    let mut session = Session::new(&loaded.model, &interrupt);
    let is_quantized = loaded.model.language().steps_differ();
    let (mut held, mut answers) = (Held::new(!is_quantized), Vec::<Answer>::new());
    let own = case.str("prompt");
    let (asks, shouts) = (with_question(own, "Why is it so?"), with_question(own, "Why is it so!"));
    for question in [Some(own), Some(&asks), Some(&shouts), None, Some(own)] {
        let follow_up = || {
            let first = shouts.strip_suffix("assistant\n").unwrap();
            let answer = &answers.last().unwrap().text;
            format!("{first}assistant\n{answer}<|im_end|>\n<|im_start|>user\nAnd then?{OPEN_END}")
        };
        let text = question.map_or_else(follow_up, str::to_owned);
        let prompt = encode_reference_prompt(&text, &loaded.tokenizer);
        let expected = loaded.ask_afresh(&prompt, &visual, MAX_NEW_TOKENS);
        let got = loaded.ask(&mut session, &prompt, &visual, MAX_NEW_TOKENS);
        let what = format!("{}: {text:?}", case.name);
        assert_eq!(expected.prefilled.cached_tokens, 0, "{what}");
        let cached = held.cached_by(&prompt, visual_count(&visual), &got.ids);
        assert_eq!(got.prefilled.cached_tokens, cached, "{what}");
        assert_near(&what, &got.prefilled.logits, &expected.prefilled.logits, logits_tolerance);
        // candle's quantized products on a GPU are not the same for few positions and for many.
        if !is_quantized || device() == "cpu" {
            assert_eq!(got.ids, expected.ids, "{what}");
        }
        answers.push(got);
    }
    // A handful of positions, which quantized weights once took for a decode step.
    let Prefilled { prompt_tokens, cached_tokens, .. } = answers[2].prefilled;
    assert!((1..=8).contains(&(prompt_tokens - cached_tokens)), "{}: {cached_tokens} of {prompt_tokens}", case.name);
    answers
}

#[test]
fn questions_about_one_video_get_the_answers_of_separate_runs() {
    for case in ["video", "image_anyres", "text_only"].iter().flat_map(|kind| Case::all(kind)) {
        let dir = case.checkpoint();
        for two_slots in [false, true] {
            let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
            let answers = many_questions(&case, &Loaded::new(checkpoint, two_slots), 1e-4);
            for own in [&answers[0], answers.last().unwrap()] {
                assert_eq!(own.ids(), case.ids("generated_ids"), "{}", case.name);
            }
        }
    }
}

#[test]
fn quantized_weights_give_the_answers_of_separate_runs() {
    let case = Case::load("grid_bilinear_s2_a");
    let dir = wide::checkpoint(SMALL, false);
    for quantization in [Quantization::Q8_0, Quantization::Q4K] {
        for (two_slots, operands) in
            [(false, Operands::Bytes), (true, Operands::Bytes), (false, Operands::Exact), (false, Operands::Bf16)]
        {
            let mut checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
            checkpoint.quantize(Scheme { quantization, vision: false }).unwrap();
            let loaded = Loaded::on(rounding(operands), checkpoint, two_slots);
            // Under bf16 that is the processor's matter.
            if operands != Operands::Bf16 || device() != "cpu" {
                assert_eq!(loaded.model.language().steps_differ(), device() != "cpu");
            }
            many_questions(&case, &loaded, if device() == "cpu" { 1e-4 } else { 0.2 });
        }
    }
}

/// A tiny model, a clip that fits one chunk, and one that does not.
struct Tiny {
    loaded: Loaded,
    clips: [VisualTokens; 2],
}

static TINY: LazyLock<Tiny> = LazyLock::new(|| {
    let checkpoint = Checkpoint::open(golden_checkpoint(SINGLE), &[]).unwrap();
    let loaded = Loaded::new(checkpoint, false);
    let clip = |(id, count): (u64, usize)| {
        let width = loaded.checkpoint.config.language.hidden_size;
        let tokens = Tensor::randn(0f32, 0.05, (count, width), &Device::Cpu).unwrap();
        let tokens = tokens.to_device(&placement(DtypeRequest::F32).device).unwrap();
        VisualTokens { id: VisualId(id), tokens: Placed::new(tokens, 0) }
    };
    let long = placement(DtypeRequest::F32).limits.prefill_chunk_tokens + 50;
    Tiny { clips: [(1, 20), (2, long)].map(clip), loaded }
});

/// A prompt, and after how many layers it is interrupted.
#[derive(Debug, Clone)]
struct Ask {
    prompt: Prompt,
    clips: Vec<usize>,
    interrupt_after: Option<usize>,
}

impl Ask {
    fn visual(&self) -> Vec<VisualTokens> {
        self.clips.iter().map(|&clip| TINY.clips[clip].clone()).collect()
    }

    /// Prefills `session`, whose interrupt is `interrupt`, and clears the interrupt afterwards.
    fn prefill(&self, session: &mut Session<'_>, interrupt: &Interrupt) -> Result<Prefilled, Error> {
        let mut layers = 0;
        let mut progress = |_: Stage, _: usize, _: usize| {
            layers += 1;
            if self.interrupt_after == Some(layers) {
                interrupt.cell().store(2, Ordering::Relaxed);
            }
        };
        let outcome = session.prefill(&self.prompt, &self.visual(), 3, &mut progress, &mut Trace::default());
        interrupt.cell().store(0, Ordering::Relaxed);
        outcome
    }
}

/// Few ids and two clips, so that many prompts begin alike.
fn any_ask() -> impl Strategy<Value = Ask> {
    let clip = prop_oneof![2 => Just(Vec::new()), 2 => Just(vec![0]), 1 => Just(vec![1]), 1 => Just(vec![0, 1])];
    let ids = || prop::collection::vec(prop_oneof![9 => Just(5u32), 1 => 6u32..8], 1..12);
    (ids(), clip, ids(), prop::option::weighted(0.3, 1usize..6)).prop_map(|(before, clips, after, interrupt_after)| {
        let mut segments = vec![Segment::Tokens(before)];
        segments.extend(clips.iter().map(|_| Segment::Visual));
        segments.push(Segment::Tokens(after));
        Ask { prompt: Prompt { segments }, clips, interrupt_after }
    })
}

fn largest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_prompts_in_any_order_give_what_fresh_sessions_give(asks in prop::collection::vec(any_ask(), 1..7)) {
        const NEAR: f32 = 1e-4;
        let interrupt = Interrupt::default();
        let mut session = Session::new(&TINY.loaded.model, &interrupt);
        for ask in &asks {
            let prefilled = match ask.prefill(&mut session, &interrupt) {
                Ok(prefilled) => prefilled,
                Err(Error::Interrupted(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            let mut fresh = Session::new(&TINY.loaded.model, &interrupt);
            let uninterrupted = Ask { interrupt_after: None, ..ask.clone() };
            let mut expected = uninterrupted.prefill(&mut fresh, &interrupt).unwrap().logits;
            let mut got = prefilled.logits;
            for _ in 0..3 {
                assert_near("after a prompt or a step", &got, &expected, NEAR);
                let id = largest(&expected);
                // Nearer ones than this may change places without any being wrong.
                prop_assert!(expected[id as usize] - expected[largest(&got) as usize] < 2.0 * NEAR);
                (got, expected) = (session.step(id).unwrap(), fresh.step(id).unwrap());
            }
            assert_near("after the last step", &got, &expected, NEAR);
            prop_assert_eq!(session.held_tokens(), prefilled.prompt_tokens + 3);
        }
    }
}

fn text(ids: impl IntoIterator<Item = u32>) -> Segment {
    Segment::Tokens(ids.into_iter().collect())
}

#[test]
fn an_interrupt_loses_one_chunk_and_no_more() {
    let chunk = placement(DtypeRequest::F32).limits.prefill_chunk_tokens;
    let layers = TINY.loaded.checkpoint.config.language.num_layers;
    // In the second chunk, after its first layer.
    let interrupt_after = Some(layers + 1);
    let spoken = Prompt { segments: vec![text((0..chunk as u32 + 100).map(|i| i * i % 300))] };
    let seen = Prompt { segments: vec![text([1, 2, 3]), Segment::Visual, text([4, 5])] };
    let interrupt = Interrupt::default();
    for (prompt, clips, kept) in [(spoken, vec![], chunk), (seen, vec![1], 3)] {
        let interrupted = Ask { prompt, clips, interrupt_after };
        let mut session = Session::new(&TINY.loaded.model, &interrupt);
        assert!(matches!(interrupted.prefill(&mut session, &interrupt), Err(Error::Interrupted(_))));
        assert_eq!(session.held_tokens(), kept);
        let again = Ask { interrupt_after: None, ..interrupted };
        let resumed = again.prefill(&mut session, &interrupt).unwrap();
        assert_eq!(resumed.cached_tokens, kept);
        let fresh = again.prefill(&mut Session::new(&TINY.loaded.model, &interrupt), &interrupt).unwrap();
        assert_near("resumed", &resumed.logits, &fresh.logits, 1e-4);

        interrupt.cell().store(2, Ordering::Relaxed);
        assert!(matches!(session.step(7), Err(Error::Interrupted(_))));
        interrupt.cell().store(0, Ordering::Relaxed);
        assert_eq!(session.held_tokens(), resumed.prompt_tokens);
        let mut other = Session::new(&TINY.loaded.model, &interrupt);
        again.prefill(&mut other, &interrupt).unwrap();
        assert_near("a step", &session.step(7).unwrap(), &other.step(7).unwrap(), 1e-4);
    }
}

/// Another clip under the same question is another prompt from where the clip begins.
#[test]
fn a_session_tells_clips_apart_by_their_ids() {
    let interrupt = Interrupt::default();
    let mut session = Session::new(&TINY.loaded.model, &interrupt);
    let prompt = Prompt { segments: vec![text([1, 2, 3]), Segment::Visual, text([4, 5, 6])] };
    let mut cached = |clip: usize| {
        let ask = Ask { prompt: prompt.clone(), clips: vec![clip], interrupt_after: None };
        ask.prefill(&mut session, &interrupt).unwrap().cached_tokens
    };
    assert_eq!([cached(0), cached(0), cached(1), cached(0)], [0, 3 + 20 + 2, 3, 3]);
}

#[test]
fn what_cannot_be_prompted_leaves_the_session_as_it_was() {
    let interrupt = Interrupt::default();
    let mut session = Session::new(&TINY.loaded.model, &interrupt);
    let asked = |segments: &[Segment], clips: &[usize]| Ask {
        prompt: Prompt { segments: segments.to_vec() },
        clips: clips.to_vec(),
        interrupt_after: None,
    };
    let good = asked(&[text([1, 2, 3]), Segment::Visual, text([4, 5, 6])], &[0]);
    let expected = good.prefill(&mut session, &interrupt).unwrap();
    for wrong in [asked(&good.prompt.segments, &[]), asked(&good.prompt.segments, &[0, 1]), asked(&[text([1])], &[0])] {
        let error = wrong.prefill(&mut session, &interrupt).expect_err("places and clips differ").to_string();
        assert!(error.contains("for visual tokens, but was given"), "{error}");
        assert_eq!(session.held_tokens(), expected.prompt_tokens);
    }
    assert!(asked(&[], &[]).prefill(&mut session, &interrupt).is_err(), "a prompt of nothing has no last position");
    let again = good.prefill(&mut session, &interrupt).unwrap();
    assert_near("again", &again.logits, &expected.logits, 1e-4);
}
