//! Answers that are decoded together against each of them alone: the same ids, and on the CPU the same bits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DtypeRequest, Operands, Placed, Placement};
use llava_video::engine::session::{self, Session, VisualId, VisualTokens};
use llava_video::engine::{Begun, Ended, Ticket, Together};
use llava_video::generate::{Decoder, Generation, Sampler, SamplingParams, StopReason, StopRule, TextStream, generate};
use llava_video::interrupt::Interrupt;
use llava_video::prompt::{Prompt, Segment};
use llava_video::quantization::{Quantization, Scheme};
use llava_video::trace::Trace;

use super::loaded::Loaded;
use crate::support::wide::{self, SMALL};
use crate::support::{Random, SHARDED, SINGLE, device, golden_checkpoint, placement, rounding};

/// Every arithmetic that the device under test has: exact and rounded operands, and weights in blocks.
fn in_every_arithmetic(test: impl Fn(&Loaded, &str)) {
    let golden = |name: &str| Checkpoint::open(golden_checkpoint(name), &[]).unwrap();
    test(&Loaded::new(golden(SINGLE), false), "f32");
    test(&Loaded::new(golden(SHARDED), true), "f32 over two slots");
    if device() != "cpu" {
        return;
    }
    test(&Loaded::on(rounding(Operands::Bf16), golden(SHARDED), false), "bf16 operands");
    let by_tensors = Placement::whole(Device::Cpu, DType::BF16);
    test(&Loaded::on(by_tensors, golden(SINGLE), false), "bf16 tensors");
    let dir = wide::checkpoint(SMALL, false);
    for quantization in [Quantization::Q8_0, Quantization::Q4K] {
        for operands in [Operands::Exact, Operands::Bytes, Operands::Bf16] {
            let mut checkpoint = Checkpoint::open(dir.path(), &[]).unwrap();
            checkpoint.quantize(Scheme { quantization, vision: false }).unwrap();
            let what = format!("{} {operands:?}", quantization.name());
            test(&Loaded::on(rounding(operands), checkpoint, false), &what);
        }
    }
}

/// Whether this program's kernels multiply. Other libraries choose theirs by the number of rows.
fn by_kernels(loaded: &Loaded) -> bool {
    loaded.model.devices().slots().iter().all(|slot| slot.kernels_name() != "candle")
}

/// A prompt of so many random ids.
fn spoken(tokens: usize, random: &mut Random) -> Prompt {
    let ids = (0..tokens).map(|_| random.below(250) as u32).collect();
    Prompt { segments: vec![Segment::Tokens(ids)] }
}

/// A question, and how it is answered.
struct Asked {
    prompt: Prompt,
    visual: Vec<VisualTokens>,
    sampling: SamplingParams,
    rule: StopRule,
    /// After how many steps of the others it joins.
    joins_after: usize,
}

/// Ids, and why they end.
type Ids = (Vec<u32>, StopReason);

impl Asked {
    fn begin(&self, session: &mut Session<'_>) -> Begun {
        let trace = &mut Trace::default();
        let room = self.rule.max_new_tokens;
        let prefilled = session.prefill(&self.prompt, &self.visual, room, &mut |_, _, _| (), trace).unwrap();
        let prompt_ids = self.prompt.ids_with_placeholder(-200).into_iter().filter_map(|id| u32::try_from(id).ok());
        let generation = Generation::new(Sampler::new(&self.sampling, prompt_ids), self.rule.clone());
        Begun { prefilled, generation }
    }

    fn alone(&self, loaded: &Loaded) -> Ids {
        let interrupt = Interrupt::default();
        let mut session = Session::new(&loaded.model, &interrupt);
        let Begun { prefilled, generation } = self.begin(&mut session);
        let mut ignore = |_| Ok::<(), llava_video::Error>(());
        generate(prefilled.logits, &mut session, generation, &interrupt, &mut ignore).unwrap()
    }
}

/// Questions of many lengths, about a clip or not, greedy and drawn by chance, that end for every reason.
fn questions(loaded: &Loaded) -> Vec<Asked> {
    let mut random = Random::new(11);
    let width = loaded.checkpoint.config.language.hidden_size;
    let slot = loaded.model.devices().placement(0).clone();
    let values = (0..20 * width).map(|_| 0.17 * random.centered()).collect::<Vec<f32>>();
    let clip = Tensor::from_vec(values, (20, width), &Device::Cpu).unwrap().to_dtype(slot.dtype).unwrap();
    let clip = VisualTokens { id: VisualId(1), tokens: Placed::new(clip.to_device(&slot.device).unwrap(), 0) };
    let greedy = SamplingParams::greedy(1.0);
    let penalized = SamplingParams::greedy(1.3);
    let drawn =
        SamplingParams { temperature: 0.9, top_p: Some(0.9), top_k: Some(20), repetition_penalty: 1.1, seed: 5 };
    let other = SamplingParams { seed: 6, top_k: None, ..drawn.clone() };
    let facts = [
        (1, greedy.clone(), 12, 0),
        (300, drawn.clone(), 25, 0),
        (37, penalized.clone(), 40, 0),
        (255, greedy.clone(), 3, 0),
        (9, other, 30, 2),
        (530, greedy.clone(), 17, 3),
        (64, penalized, 1, 5),
        (2, drawn, 21, 5),
        (90, greedy.clone(), 0, 6),
        (5, greedy, 33, 30),
    ];
    let ask = |(index, (tokens, sampling, most, joins_after)): (usize, (usize, SamplingParams, usize, usize))| {
        let mut prompt = spoken(tokens, &mut random);
        let visual = if index % 3 == 1 { vec![clip.clone()] } else { Vec::new() };
        if !visual.is_empty() {
            prompt.segments.insert(0, Segment::Visual);
        }
        // The last of them run into the end of the context.
        let context = (index > 7).then_some(tokens + most.saturating_sub(1));
        let rule = StopRule::new([], most, tokens, context);
        Asked { prompt, visual, sampling, rule, joins_after }
    };
    let mut questions: Vec<Asked> = facts.into_iter().enumerate().map(ask).collect();
    // Two of them end with a stop id, somewhere within.
    for index in [2, 5] {
        let (ids, _) = questions[index].alone(loaded);
        questions[index].rule.eos_token_ids.insert(ids[ids.len() / 2]);
    }
    questions
}

/// Done after each step: is told how many there were, and which answers are to which questions, and may name one that
/// is to be cancelled.
type Between<'b> = dyn FnMut(usize, &BTreeMap<Ticket, usize>) -> Option<Ticket> + 'b;

/// Decodes all questions, at most `most` at a time, and holds text and pieces of each to its ids.
fn together<'l>(
    loaded: &'l Loaded,
    asked: &[Asked],
    most: usize,
    interrupt: &'l Interrupt,
    between: &mut Between<'_>,
) -> Vec<Option<Ids>> {
    let mut together = Together::new(&loaded.tokenizer, interrupt);
    let mut answers: Vec<Option<Ids>> = asked.iter().map(|_| None).collect();
    let (mut waiting, mut tickets) = (asked.iter().enumerate().collect::<Vec<_>>(), BTreeMap::new());
    let mut pieces = BTreeMap::<Ticket, String>::new();
    let mut steps = 0;
    let mut spare = Vec::new();
    while !(together.is_empty() && waiting.is_empty()) {
        while let Some(place) = waiting.iter().position(|(_, asked)| asked.joins_after <= steps) {
            if together.len() >= most {
                break;
            }
            let (index, asked) = waiting.remove(place);
            // A session that another answer has left is as good as a new one.
            let mut session = spare.pop().unwrap_or_else(|| Session::new(&loaded.model, interrupt));
            let begun = asked.begin(&mut session);
            tickets.insert(together.join(session, begun), index);
        }
        let mut on_piece = |ticket, piece: &str| pieces.entry(ticket).or_default().push_str(piece);
        let mut ended = together.step(&mut on_piece).unwrap();
        steps += 1;
        ended.extend(between(steps, &tickets).and_then(|ticket| together.cancel(ticket)));
        for Ended { ticket, session, outcome, .. } in ended {
            let answer = outcome.unwrap();
            let mut stream = TextStream::default();
            let text: String = answer.token_ids.iter().map(|&id| stream.push(id, &loaded.tokenizer)).collect();
            assert_eq!(answer.text, text + &stream.finish());
            assert!(answer.text.starts_with(pieces.get(&ticket).map_or("", String::as_str)));
            answers[tickets[&ticket]] = Some((answer.token_ids, answer.stop_reason));
            spare.push(session);
        }
    }
    answers
}

#[test]
fn each_gets_the_ids_that_it_gets_alone() {
    in_every_arithmetic(|loaded, what| {
        // Candle's products round differently with the number of rows. In bf16 that can change an id; the test of bits
        // below bounds what it does to the logits.
        if !by_kernels(loaded) && loaded.model.devices().placement(0).dtype != DType::F32 {
            return;
        }
        let asked = questions(loaded);
        let alone: Vec<Option<Ids>> = asked.iter().map(|asked| Some(asked.alone(loaded))).collect();
        for reason in [StopReason::Stop, StopReason::Length, StopReason::Context] {
            assert!(alone.iter().flatten().any(|(_, ended)| *ended == reason), "{what}: none ends by {reason:?}");
        }
        for most in [1, 4, 8] {
            let got = together(loaded, &asked, most, &Interrupt::default(), &mut |_, _| None);
            assert_eq!(got, alone, "{what}, {most} at a time");
        }
    });
}

/// Below the ids: what one row gives depends on no other row, whatever their number and the lengths of their caches.
#[test]
fn a_row_has_the_bits_that_it_has_alone() {
    in_every_arithmetic(|loaded, what| {
        let (interrupt, mut random) = (Interrupt::default(), Random::new(3));
        for rows in [2, 3, 5, 8, 13] {
            let prompts: Vec<Prompt> = (0..rows).map(|row| spoken(1 + 97 * row % 300, &mut random)).collect();
            let sessions = || {
                let read = |prompt: &Prompt| {
                    let mut session = Session::new(&loaded.model, &interrupt);
                    session.prefill(prompt, &[], 4, &mut |_, _, _| (), &mut Trace::default()).unwrap();
                    session
                };
                prompts.iter().map(read).collect::<Vec<_>>()
            };
            let (mut joined, mut single) = (sessions(), sessions());
            for step in 0..3 {
                let ids: Vec<u32> = (0..rows as u32).map(|row| (row * 7 + step) % 250).collect();
                let all = session::step_many(&mut joined.iter_mut().collect::<Vec<_>>(), &ids).unwrap();
                for ((row, got), (session, &id)) in
                    all.to_vec2::<f32>().unwrap().into_iter().enumerate().zip(single.iter_mut().zip(&ids))
                {
                    let expected = session.step(id).unwrap();
                    let tolerance = if by_kernels(loaded) { 0.0 } else { 0.05 };
                    let differs = got.iter().zip(&expected).any(|(got, expected)| (got - expected).abs() > tolerance);
                    assert!(!differs && got.len() == expected.len(), "{what}: row {row} of {rows}, step {step}");
                }
            }
            let held = |sessions: &[Session<'_>]| sessions.iter().map(Session::held_tokens).collect::<Vec<_>>();
            assert_eq!(held(&joined), held(&single));
        }
    });
}

fn tiny() -> Loaded {
    Loaded::on(placement(DtypeRequest::F32), Checkpoint::open(golden_checkpoint(SINGLE), &[]).unwrap(), false)
}

#[test]
fn an_answer_that_is_cancelled_leaves_the_others_as_they_were() {
    let loaded = tiny();
    let asked = questions(&loaded);
    let cancel = |steps: usize, tickets: &BTreeMap<Ticket, usize>| {
        tickets.iter().find(|(_, index)| steps == 5 && **index == 1).map(|(ticket, _)| *ticket)
    };
    let got = together(&loaded, &asked, 4, &Interrupt::default(), &mut { cancel });
    for (index, (got, asked)) in got.into_iter().zip(&asked).enumerate() {
        let (got, alone) = (got.unwrap(), asked.alone(&loaded));
        match index {
            1 => {
                assert_eq!(got.1, StopReason::Interrupted);
                // One from prefill, and one from each step.
                assert_eq!((got.0.len(), got.0.as_slice()), (6, &alone.0[..6]));
            }
            _ => assert_eq!(got, alone, "question {index}"),
        }
    }
}

#[test]
fn a_signal_ends_all_with_what_they_have() {
    let (loaded, interrupt) = (tiny(), Interrupt::default());
    let asked: Vec<Asked> = questions(&loaded).into_iter().take(4).collect();
    let mut signal = |steps: usize, _: &BTreeMap<Ticket, usize>| {
        if steps == 5 {
            interrupt.cell().store(2, Ordering::Relaxed);
        }
        None
    };
    let got = together(&loaded, &asked, 4, &interrupt, &mut signal);
    for ((ids, reason), asked) in got.into_iter().map(Option::unwrap).zip(&asked) {
        let alone = asked.alone(&loaded);
        let is_over = alone.0.len() <= 6;
        assert_eq!(reason, if is_over { alone.1 } else { StopReason::Interrupted });
        assert_eq!(ids, alone.0[..alone.0.len().min(6)]);
    }
}

/// Logits that are not numbers are one answer's, not everybody's.
#[test]
fn an_answer_that_fails_fails_alone() {
    let (loaded, interrupt) = (tiny(), Interrupt::default());
    let asked = questions(&loaded);
    let mut together = Together::new(&loaded.tokenizer, &interrupt);
    let mut join = |asked: &Asked, spoils: bool| {
        let mut session = Session::new(&loaded.model, &interrupt);
        let mut begun = asked.begin(&mut session);
        if spoils {
            begun.prefilled.logits.fill(f32::NAN);
        }
        together.join(session, begun)
    };
    let (_, spoilt, _) = (join(&asked[0], false), join(&asked[1], true), join(&asked[2], false));
    let mut outcomes = BTreeMap::new();
    while !together.is_empty() {
        let ended = together.step(&mut |_, _| ()).unwrap();
        outcomes.extend(ended.into_iter().map(|ended| (ended.ticket, ended.outcome)));
    }
    let error = outcomes.remove(&spoilt).unwrap().expect_err("no numbers");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("logits are not numbers"), "{error}: {cause}");
    let ids: Vec<_> = outcomes.into_values().map(|outcome| outcome.unwrap().token_ids).collect();
    assert_eq!(ids, [asked[0].alone(&loaded).0, asked[2].alone(&loaded).0]);
}

/// A session that holds a prompt of so many positions, with room for more.
fn read<'m>(loaded: &'m Loaded, interrupt: &'m Interrupt, tokens: usize, room: usize) -> Session<'m> {
    let mut session = Session::new(&loaded.model, interrupt);
    let prompt = spoken(tokens, &mut Random::new(tokens as u64));
    session.prefill(&prompt, &[], room, &mut |_, _, _| (), &mut Trace::default()).unwrap();
    session
}

/// Whatever stops a step, no session has taken it.
#[test]
fn a_step_that_fails_leaves_every_session_as_it_was() {
    let (loaded, other, interrupt) = (tiny(), tiny(), Interrupt::default());
    let (mut long, mut full) = (read(&loaded, &interrupt, 40, 8), read(&loaded, &interrupt, 7, 0));
    let mut foreign = read(&other, &interrupt, 3, 8);
    assert!(session::step_many(&mut [], &[]).is_err());
    assert!(session::step_many(&mut [&mut long], &[1, 2]).is_err());
    let error = session::step_many(&mut [&mut long, &mut full], &[1, 2]).expect_err("no room").to_string();
    assert!(!error.is_empty());
    assert!(session::step_many(&mut [&mut long, &mut foreign], &[1, 2]).is_err(), "sessions of two models");
    assert!(session::step_many(&mut [&mut long, &mut full], &[1, 1_000_000]).is_err(), "an id beyond the table");
    interrupt.cell().store(2, Ordering::Relaxed);
    let interrupted = session::step_many(&mut [&mut long], &[1]);
    assert!(matches!(interrupted, Err(llava_video::Error::Interrupted(_))));
    interrupt.cell().store(0, Ordering::Relaxed);
    assert_eq!([&long, &full, &foreign].map(Session::held_tokens), [40, 7, 3]);
    let after = session::step_many(&mut [&mut long], &[9]).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(after[0], read(&loaded, &interrupt, 40, 8).step(9).unwrap());
}
