//! Given answers against the reference's probabilities of them.

use llava_video::checkpoint::Checkpoint;
use llava_video::engine::choices::{Choice, best, score};
use llava_video::engine::session::Session;
use llava_video::interrupt::Interrupt;
use llava_video::prompt::end_of_turn;
use llava_video::trace::Trace;

use super::loaded::Loaded;
use super::prompts::encode_reference_prompt;
use crate::support::{Case, golden, ids, json};

/// As the golden data states it, for each sum.
const TOLERANCE: f64 = 1e-3;

#[test]
fn given_answers_are_as_likely_as_the_reference_says() {
    let recorded = json(&golden().join("choices.json"));
    let recorded = recorded.as_object().unwrap();
    assert!(recorded.len() >= 4);
    for (name, facts) in recorded {
        let case = Case::load(name);
        let dir = case.checkpoint();
        let loaded = Loaded::new(Checkpoint::open(dir.path(), &case.overrides()).unwrap(), false);
        let candidates = facts["candidates"].as_array().unwrap();
        let encode = |text: &str| loaded.tokenizer.encode_plain(text).unwrap();
        let answers: Vec<Vec<u32>> =
            candidates.iter().map(|candidate| encode(candidate["text"].as_str().unwrap())).collect();
        for (answer, candidate) in answers.iter().zip(candidates) {
            let answer: Vec<i64> = answer.iter().copied().map(i64::from).collect();
            assert_eq!(answer, ids(&candidate["token_ids"]), "{name}");
        }

        let prompt = encode_reference_prompt(case.str("prompt"), &loaded.tokenizer);
        let (interrupt, visual) = (Interrupt::default(), loaded.see(&case));
        let mut session = Session::new(&loaded.model, &interrupt);
        let prefilled = session.prefill(&prompt, &visual, 0, &mut |_, _, _| (), &mut Trace::default()).unwrap();
        let end = end_of_turn(&loaded.tokenizer).unwrap();
        let choices = score(&mut session, &prefilled.logits, &answers, end).unwrap();
        assert_eq!(session.held_tokens(), prefilled.prompt_tokens, "{name}");

        assert_eq!(choices.len(), candidates.len());
        for (choice, candidate) in choices.iter().zip(candidates) {
            for (got, key) in [(choice.logprob, "logprob"), (choice.logprob_with_end, "logprob_with_end")] {
                let expected = candidate[key].as_f64().unwrap();
                assert!((got - expected).abs() < TOLERANCE, "{name} {key}: {got} is not {expected}");
            }
        }
        assert!((choices.iter().map(|choice| choice.probability).sum::<f64>() - 1.0).abs() < 1e-12, "{name}");
        let likeliest = |key: &dyn Fn(&Choice) -> f64| {
            (0..choices.len()).max_by(|&a, &b| key(&choices[a]).total_cmp(&key(&choices[b]))).unwrap() as u64
        };
        let expected = |key: &str| facts[key].as_u64().unwrap();
        assert_eq!(best(&choices).unwrap() as u64, expected("best_with_end"), "{name}");
        assert_eq!(likeliest(&|choice| choice.probability), expected("best_with_end"), "{name}");
        assert_eq!(likeliest(&|choice| choice.logprob), expected("best"), "{name}");
        assert_eq!(likeliest(&|choice| choice.logprob_per_token), expected("best_per_token"), "{name}");

        // Each by itself, in another order, and a question afterwards: nothing of it stays behind.
        for (answer, choice) in answers.iter().zip(&choices).rev() {
            let alone = score(&mut session, &prefilled.logits, std::slice::from_ref(answer), end).unwrap()[0];
            assert!((alone.logprob_with_end - choice.logprob_with_end).abs() < 1e-6, "{name}");
            assert_eq!(alone.probability, 1.0, "{name}");
        }
        let max_new_tokens = case.ids("generated_ids").len();
        let answer = loaded.ask(&mut session, &prompt, &visual, max_new_tokens);
        assert_eq!(answer.ids(), case.ids("generated_ids"), "{name}");
        assert_eq!(answer.prefilled.cached_tokens, prefilled.prompt_tokens - 1, "{name}");
    }
}

#[test]
fn an_answer_that_cannot_be_generated_is_refused() {
    let case = Case::load("text_only_b");
    let dir = case.checkpoint();
    let loaded = Loaded::new(Checkpoint::open(dir.path(), &[]).unwrap(), false);
    let interrupt = Interrupt::default();
    let mut session = Session::new(&loaded.model, &interrupt);
    let prompt = encode_reference_prompt(case.str("prompt"), &loaded.tokenizer);
    let logits = session.prefill(&prompt, &[], 0, &mut |_, _, _| (), &mut Trace::default()).unwrap().logits;
    let beyond = logits.len() as u32;
    assert!(score(&mut session, &logits, &[vec![1], vec![beyond]], 2).is_err());
    assert!(score(&mut session, &logits, &[vec![1]], beyond).is_err());
    let no_numbers = vec![f32::NAN; logits.len()];
    let error = score(&mut session, &no_numbers, &[vec![1]], 2).expect_err("no probability can be read from these");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("logits are not numbers"), "{error}: {cause}");
    assert!(score(&mut session, &logits, &[], 2).unwrap().is_empty());
}
