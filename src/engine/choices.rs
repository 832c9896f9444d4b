//! How likely each of several given answers is, so that one of them can be picked.
//!
//! Every answer is read after the same prompt, its ids given, not generated. Probabilities are the softmax over all ids
//! that can be generated, in f64; there is no repetition penalty.

use super::session::Session;
use crate::error::Error;
use crate::generate::check_numbers;
use crate::score::surprise;

/// How likely one answer is, in natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Its ids, the end of the turn not counted.
    pub tokens: usize,
    /// The sum over its ids.
    pub logprob: f64,
    /// The same and the end of the turn: how likely it is that this is the whole answer.
    pub logprob_with_end: f64,
    /// `logprob / tokens`, which does not prefer short answers; 0 without ids.
    pub logprob_per_token: f64,
    /// Its share among all answers, by `logprob_with_end`.
    pub probability: f64,
}

/// Scores `answers`, each as the ids of its text alone, after the prompt that `session` holds and whose last logits are
/// `logits`. `end` is the id that ends a turn. The session is left as it was.
///
/// # Errors
/// An id that cannot be generated, logits that are not numbers, an interrupt, or a failing device.
pub fn score(session: &mut Session<'_>, logits: &[f32], answers: &[Vec<u32>], end: u32) -> Result<Vec<Choice>, Error> {
    if let Some(id) = answers.iter().flatten().chain([&end]).find(|&&id| id as usize >= logits.len()) {
        let ids = logits.len();
        return Err(candle_core::Error::msg(format!("id {id} is beyond the {ids} that can be generated")).into());
    }
    let mut choices = Vec::with_capacity(answers.len());
    for answer in answers {
        let mut rows = Vec::with_capacity(answer.len());
        session.try_ids(answer, &mut |more| rows.extend(more))?;
        let rows = [logits].into_iter().chain(rows.iter().map(Vec::as_slice));
        rows.clone().try_for_each(check_numbers)?;
        let targets = answer.iter().chain([&end]);
        choices.push(Choice::of(&rows.zip(targets).map(|(row, &id)| -surprise(row, id)).collect::<Vec<_>>()));
    }
    share(&mut choices);
    Ok(choices)
}

/// Which of them is the likeliest whole answer, the first of equals; none of none.
pub fn best(choices: &[Choice]) -> Option<usize> {
    let better = |best: usize, index: usize| match choices[index].logprob_with_end > choices[best].logprob_with_end {
        true => index,
        false => best,
    };
    (0..choices.len()).reduce(better)
}

impl Choice {
    /// From the logarithm of each id's probability, that of the end of the turn last. Its share is not known yet.
    fn of(logprobs: &[f64]) -> Self {
        let tokens = logprobs.len().saturating_sub(1);
        let logprob: f64 = logprobs[..tokens].iter().sum();
        Self {
            tokens,
            logprob,
            logprob_with_end: logprobs.iter().sum(),
            logprob_per_token: logprob / tokens.max(1) as f64,
            probability: 0.0,
        }
    }
}

/// Shares out a probability of 1: the softmax of `logprob_with_end`.
fn share(choices: &mut [Choice]) {
    let most = choices.iter().map(|choice| choice.logprob_with_end).fold(f64::NEG_INFINITY, f64::max);
    let weight = |choice: &Choice| (choice.logprob_with_end - most).exp();
    let total: f64 = choices.iter().map(weight).sum();
    for choice in choices {
        choice.probability = weight(choice) / total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_with_and_without_the_end() {
        let choice = Choice::of(&[-1.0, -2.0, -0.5]);
        assert_eq!((choice.tokens, choice.logprob, choice.logprob_with_end), (2, -3.0, -3.5));
        assert_eq!(choice.logprob_per_token, -1.5);
        let empty = Choice::of(&[-0.5]);
        assert_eq!((empty.tokens, empty.logprob, empty.logprob_with_end, empty.logprob_per_token), (0, 0.0, -0.5, 0.0));
    }

    #[test]
    fn shares_are_of_whole_answers() {
        // Far below what an f64 holds without its logarithm.
        let mut choices = [-2000.0, -2000.0 - 3f64.ln(), -9000.0].map(|logprob| Choice::of(&[logprob, 0.0]));
        share(&mut choices);
        for (choice, expected) in choices.iter().zip([0.75, 0.25, 0.0]) {
            assert!((choice.probability - expected).abs() < 1e-12, "{choice:?}");
        }
        share(&mut []);
    }

    #[test]
    fn the_first_of_the_likeliest_is_best() {
        let of = |logprobs: &[f64]| best(&logprobs.iter().map(|&l| Choice::of(&[l])).collect::<Vec<_>>());
        assert_eq!((of(&[]), of(&[-3.0, -1.0, -1.0, -2.0]), of(&[-1.0])), (None, Some(1), Some(0)));
    }
}
