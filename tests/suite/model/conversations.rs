//! Conversations over one session against the reference, which prompts the whole again in each turn.

use std::convert::Infallible;
use std::path::Path;

use llava_video::checkpoint::{Checkpoint, ConfigOverride};
use llava_video::engine::session::{Session, VisualTokens};
use llava_video::interrupt::Interrupt;
use llava_video::model::ClipFrames;
use llava_video::prompt::{
    self, Conversation, DEFAULT_SYSTEM, Part, Prompt, TimeInstruction, Turn, end_of_turn, user_message,
};
use llava_video::trace::Trace;
use llava_video::video::{Clip, ClipOptions, Frame, SamplePolicy, View, plan};
use serde_json::Value;

use super::loaded::{Held, Loaded};
use super::parity::named;
use crate::support::{golden, golden_checkpoint, ids, json};

struct Recorded {
    name: String,
    facts: Value,
}

impl Recorded {
    fn all() -> Vec<Self> {
        let cases = json(&golden().join("chat/cases.json"));
        let name = |facts: &Value| facts["name"].as_str().unwrap().to_owned();
        cases.as_array().unwrap().iter().map(|facts| Self { name: name(facts), facts: facts.clone() }).collect()
    }

    /// Whether an answer is empty, after which the reference leaves its turn open.
    fn has_empty_answer(&self) -> bool {
        self.turns().iter().any(|turn| turn["answer"] == "")
    }

    fn turns(&self) -> &[Value] {
        self.facts["turns"].as_array().unwrap()
    }

    fn max_new_tokens(&self) -> usize {
        self.facts["max_new_tokens"].as_u64().unwrap() as usize
    }

    fn load(&self, two_slots: bool) -> Loaded {
        let overrides = self.facts["config_overrides"].as_object().unwrap().iter();
        let overrides = overrides.map(|(key, value)| ConfigOverride { key: key.clone(), value: value.clone() });
        let dir = golden_checkpoint(self.facts["ckpt"].as_str().unwrap());
        Loaded::new(Checkpoint::open(&dir, &overrides.collect::<Vec<_>>()).unwrap(), two_slots)
    }

    /// What the model sees, and the user's first message.
    fn open(&self, loaded: &Loaded) -> (Vec<VisualTokens>, Vec<Part>) {
        let question = self.turns()[0]["question"].as_str().unwrap();
        let Some(clip) = self.facts["clip"].as_str() else {
            return (Vec::new(), vec![Part::Text(question.to_owned())]);
        };
        let frames = self.facts["frames"].as_u64().unwrap() as usize;
        let image_size = loaded.checkpoint.vision.image_size;
        let (clip, duration_secs, label_secs) = sampled(&golden().join("chat").join(clip), frames, image_size);
        let trace = &mut Trace::default();
        let tokens = loaded.model.encode_clip(&clip, &Interrupt::default(), &mut |_, _, _| (), trace).unwrap();
        let time_instruction = match self.facts["time_instruction"].as_str().unwrap() {
            "newline" => TimeInstruction::Newline,
            "inline" => TimeInstruction::Inline,
            _ => TimeInstruction::None,
        };
        (named(&[tokens]), user_message(time_instruction, duration_secs, &label_secs, question))
    }
}

/// The clip's frames as the tower takes them, its duration and their times.
fn sampled(path: &Path, frames: usize, image_size: usize) -> (ClipFrames, f64, Vec<f64>) {
    let mut clip = Clip::open(path, &ClipOptions::default()).unwrap();
    let policy = SamplePolicy { max_frames: frames, fps: None };
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, &policy);
    let mut resized = Vec::new();
    let mut sink = |frame: Frame| {
        resized.push(frame.rgb);
        Ok::<(), Infallible>(())
    };
    clip.read(&plan.indices, View::Resized(image_size), &mut sink).unwrap();
    (ClipFrames::new(resized, &plan.indices), clip.info().duration_secs(), plan.label_secs)
}

fn encode(turns: &[Turn], loaded: &Loaded) -> Prompt {
    let conversation = Conversation { system: Some(DEFAULT_SYSTEM.to_owned()), turns: turns.to_vec() };
    prompt::encode(&conversation, &loaded.tokenizer).unwrap()
}

fn says(text: &str) -> Vec<Part> {
    vec![Part::Text(text.to_owned())]
}

#[test]
fn every_turn_gives_the_references_ids_over_one_cache() {
    let cases: Vec<Recorded> = Recorded::all().into_iter().filter(|case| !case.has_empty_answer()).collect();
    assert!(cases.len() >= 6, "only {} conversations", cases.len());
    let mut cut_inside_an_answer = 0;
    for (case, two_slots) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
        let loaded = case.load(two_slots);
        let (visual, first_message) = case.open(&loaded);
        let visual_tokens = case.facts["visual_tokens"].as_i64().unwrap();
        let interrupt = Interrupt::default();
        let mut session = Session::new(&loaded.model, &interrupt);
        let (mut held, mut held_before) = (Held::new(true), 0);
        let mut turns = vec![Turn::User(first_message)];
        for (index, recorded) in case.turns().iter().enumerate() {
            let what = format!("{}, turn {index}, two slots {two_slots}", case.name);
            if index > 0 {
                turns.push(Turn::User(says(recorded["question"].as_str().unwrap())));
            }
            let prompt = encode(&turns, &loaded);
            assert_eq!(prompt.ids_with_placeholder(-200), ids(&recorded["input_ids"]), "{what}");
            let answer = loaded.ask(&mut session, &prompt, &visual, case.max_new_tokens());
            assert_eq!(answer.prefilled.prompt_tokens as u64, recorded["seq_len"].as_u64().unwrap(), "{what}");
            assert_eq!(answer.ids(), ids(&recorded["token_ids"]), "{what}");
            assert_eq!(answer.text, recorded["answer"].as_str().unwrap(), "{what}");

            let cached_tokens = answer.prefilled.cached_tokens;
            assert_eq!(cached_tokens, held.cached_by(&prompt, visual_tokens, &answer.ids), "{what}");
            assert!(index == 0 || cached_tokens as i64 > visual_tokens, "{what}: the clip was computed again");
            cut_inside_an_answer += usize::from(index > 0 && cached_tokens < held_before);
            held_before = session.held_tokens();
            turns.push(Turn::Assistant(says(&answer.text)));
        }
    }
    assert!(cut_inside_an_answer > 0, "every answer put back was tokenized as it was generated");
}

/// The reference writes neither text nor end for an empty answer, by accident; here its turn ends as every other.
#[test]
fn an_empty_answer_closes_its_turn() {
    let cases: Vec<Recorded> = Recorded::all().into_iter().filter(Recorded::has_empty_answer).collect();
    assert!(!cases.is_empty());
    for case in &cases {
        let loaded = case.load(false);
        let [first, second, ..] = case.turns() else { panic!("{}: one turn", case.name) };
        assert_eq!(first["answer"], "", "{}", case.name);
        let interrupt = Interrupt::default();
        let mut session = Session::new(&loaded.model, &interrupt);
        let (visual, first_message) = case.open(&loaded);
        let mut turns = vec![Turn::User(first_message)];
        let prompt = encode(&turns, &loaded);
        let answer = loaded.ask(&mut session, &prompt, &visual, case.max_new_tokens());
        assert_eq!((answer.text.as_str(), answer.ids()), ("", ids(&first["token_ids"])), "{}", case.name);

        turns.extend([Turn::Assistant(says(&answer.text)), Turn::User(says(second["question"].as_str().unwrap()))]);
        let prompt = encode(&turns, &loaded);
        let open = ids(&first["input_ids"]);
        let mut closed = open.clone();
        closed.push(end_of_turn(&loaded.tokenizer).unwrap().into());
        closed.extend(loaded.tokenizer.encode_plain("\n").unwrap().into_iter().map(i64::from));
        closed.extend(&ids(&second["input_ids"])[open.len()..]);
        assert_eq!(prompt.ids_with_placeholder(-200), closed, "{}", case.name);
        let kept = loaded.ask(&mut session, &prompt, &visual, case.max_new_tokens());
        assert_eq!(kept.prefilled.cached_tokens, answer.prefilled.prompt_tokens, "{}", case.name);
        let afresh = loaded.ask_afresh(&prompt, &visual, case.max_new_tokens());
        assert_eq!(kept.ids, afresh.ids, "{}", case.name);
    }
}
