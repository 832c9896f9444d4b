//! Logits -> the next id: repetition penalty, then greedy choice or temperature, top-k and top-p, in that order.
//!
//! Reference: transformers' `RepetitionPenaltyLogitsProcessor`, `TemperatureLogitsWarper`, `TopKLogitsWarper`,
//! `TopPLogitsWarper`.

use std::collections::BTreeSet;

use candle_core::{Device, Result, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f64,
    /// Smallest probability mass that the candidates must reach; used above temperature 0.
    pub top_p: Option<f64>,
    /// Number of candidates; used above temperature 0.
    pub top_k: Option<usize>,
    /// Makes ids that were there before less likely; 1 does nothing. Active under greedy decoding too.
    pub repetition_penalty: f64,
    /// Seed of the random choice.
    pub seed: u64,
}

impl SamplingParams {
    /// Greedy decoding.
    pub fn greedy(repetition_penalty: f64) -> Self {
        Self { temperature: 0.0, top_p: None, top_k: None, repetition_penalty, seed: 0 }
    }
}

/// Chooses ids; carries the ids so far and the state of the random choice.
pub struct Sampler {
    params: SamplingParams,
    /// Ids that the repetition penalty counts: some of the prompt's, and all that were chosen.
    seen: BTreeSet<u32>,
    /// Draws from the candidates that top-k and top-p leave; `None` when greedy.
    draw: Option<LogitsProcessor>,
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Sampler {
    /// A sampler at its first token. The repetition penalty counts `prompt_ids`, too: see
    /// [`penalized_prompt_ids`](crate::model::penalized_prompt_ids).
    pub fn new(params: &SamplingParams, prompt_ids: impl IntoIterator<Item = u32>) -> Self {
        let sampling = Sampling::All { temperature: params.temperature };
        let draw = (params.temperature > 0.0).then(|| LogitsProcessor::from_sampling(params.seed, sampling));
        Self { params: params.clone(), seen: prompt_ids.into_iter().collect(), draw }
    }

    /// The next id, given logits of all ids.
    ///
    /// # Errors
    /// Logits that are not numbers (an overflow in the arithmetic).
    pub fn next(&mut self, logits: &mut [f32]) -> Result<u32> {
        check_numbers(logits)?;
        penalize(logits, &self.seen, self.params.repetition_penalty as f32);
        let id = match &mut self.draw {
            None => argmax(logits),
            Some(draw) => {
                keep_top_k(logits, self.params.top_k);
                keep_top_p(logits, self.params.top_p, self.params.temperature);
                draw.sample(&Tensor::new(&*logits, &Device::Cpu)?)?
            }
        };
        self.seen.insert(id);
        Ok(id)
    }
}

/// Fails for logits that are not numbers, from which no answer can be read.
pub(crate) fn check_numbers(logits: &[f32]) -> Result<()> {
    // No way out within a part, so that its loop becomes vector instructions.
    let has_nan = |part: &[f32]| part.iter().fold(false, |nan, logit| nan | logit.is_nan());
    if logits.chunks(4096).any(has_nan) {
        candle_core::bail!("the model's logits are not numbers; its arithmetic overflowed (try --dtype f32 or bf16)");
    }
    Ok(())
}

/// Divides positive logits and multiplies negative ones.
fn penalize(logits: &mut [f32], seen: &BTreeSet<u32>, penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    for &id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// The first of the largest logits, as `torch.argmax` picks on the CPU.
fn argmax(logits: &[f32]) -> u32 {
    const PART: usize = 4096;
    let parts = logits.chunks(PART).map(largest).enumerate();
    let first_of_largest = |best: (usize, f32), part: (usize, f32)| if part.1 > best.1 { part } else { best };
    let (part, largest) = parts.reduce(first_of_largest).unwrap_or((0, f32::NEG_INFINITY));
    let place = logits[part * PART..].iter().position(|&logit| logit == largest).unwrap_or(0);
    (part * PART + place) as u32
}

/// The largest of some numbers.
fn largest(numbers: &[f32]) -> f32 {
    const LANES: usize = 16;
    // Each lane has a chain of comparisons of its own, so that the loop becomes vector instructions.
    let (rows, rest) = numbers.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for row in rows {
        for (lane, number) in lanes.iter_mut().zip(row) {
            *lane = if *number > *lane { *number } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Rules out all ids whose logit is below the k-th largest; ties with it stay, as in `TopKLogitsWarper`.
fn keep_top_k(logits: &mut [f32], top_k: Option<usize>) {
    let Some(k) = top_k.filter(|&k| k < logits.len()) else {
        return;
    };
    let (_, &mut threshold, _) = logits.to_vec().select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    logits.iter_mut().filter(|logit| **logit < threshold).for_each(|logit| *logit = f32::NEG_INFINITY);
}

/// Keeps the most likely ids until their mass at this temperature reaches `top_p`; at least one stays.
fn keep_top_p(logits: &mut [f32], top_p: Option<f64>, temperature: f64) {
    let Some(top_p) = top_p.filter(|&p| p < 1.0) else {
        return;
    };
    // By falling logit, equal ones in order of id; those that are ruled out already have no mass.
    let mut order: Vec<usize> = (0..logits.len()).filter(|&id| logits[id] > f32::NEG_INFINITY).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    if order.is_empty() {
        return;
    }
    let largest = f64::from(logits[order[0]]);
    let mass = |logit: f32| ((f64::from(logit) - largest) / temperature).exp();
    let total: f64 = logits.iter().map(|&logit| mass(logit)).sum();
    let mut before = 0.0;
    for (rank, &id) in order.iter().enumerate() {
        let own = mass(logits[id]) / total;
        if rank > 0 && before >= top_p {
            logits[id] = f32::NEG_INFINITY;
        }
        before += own;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_respects_signs() {
        let mut logits = [2.0, -2.0, 1.0, 0.0];
        penalize(&mut logits, &BTreeSet::from([0, 1, 3, 99]), 2.0);
        assert_eq!(logits, [1.0, -4.0, 1.0, 0.0]);
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut sampler = Sampler::new(&SamplingParams::greedy(1.0), []);
        assert_eq!(sampler.next(&mut [1.0, 3.0, 3.0]).expect("finite"), 1);
    }

    #[test]
    fn the_largest_is_found_wherever_it_is() {
        let id_of = |logits: &[f32]| argmax(logits) as usize;
        for len in [1, 15, 16, 17, 4095, 4096, 4097, 9000] {
            for place in [0, len / 3, len / 2, len - 1] {
                let mut logits: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 - 200.0).collect();
                logits[place] = -1.5;
                assert_eq!(id_of(&logits), place, "of {len}");
                logits[len - 1] = -1.5;
                assert_eq!(id_of(&logits), place, "the first of two, of {len}");
            }
        }
        assert_eq!((id_of(&[f32::NEG_INFINITY; 40]), id_of(&[-1.0, -0.0, 0.0])), (0, 1));
    }

    #[test]
    fn top_k_keeps_the_largest_and_what_equals_the_last_of_them() {
        for (k, kept) in
            [(1, vec![3]), (2, vec![0, 2, 3]), (3, vec![0, 2, 3]), (4, vec![0, 1, 2, 3]), (5, vec![0, 1, 2, 3])]
        {
            let mut logits = [1.0, -2.0, 1.0, 4.0];
            keep_top_k(&mut logits, Some(k));
            assert_eq!((0..4).filter(|&id| logits[id].is_finite()).collect::<Vec<_>>(), kept, "{k}");
        }
    }

    #[test]
    fn greedy_with_a_penalty_moves_on() {
        let mut sampler = Sampler::new(&SamplingParams::greedy(1.05), []);
        let mut next = || sampler.next(&mut [1.0, 3.0, 2.9]).expect("finite");
        assert_eq!([next(), next(), next()], [1, 2, 1]);
        let mut after_a_prompt = Sampler::new(&SamplingParams::greedy(1.05), [1, 1]);
        assert_eq!(after_a_prompt.next(&mut [1.0, 3.0, 2.9]).expect("finite"), 2);
    }

    #[test]
    fn nan_is_an_error_not_an_answer() {
        let mut sampler = Sampler::new(&SamplingParams::greedy(1.0), []);
        assert!(sampler.next(&mut [1.0, f32::NAN]).is_err());
    }

    #[test]
    fn sampling_stays_within_the_candidates_and_repeats_with_its_seed() {
        let params =
            SamplingParams { temperature: 1.5, top_k: Some(3), top_p: Some(0.9), repetition_penalty: 1.0, seed: 7 };
        let draw = || {
            let mut sampler = Sampler::new(&params, []);
            let next = |_| sampler.next(&mut [0.0, 4.0, 3.5, -1.0, 3.9, 0.1]).expect("finite");
            (0..200).map(next).collect::<Vec<u32>>()
        };
        let first = draw();
        assert_eq!(first, draw());
        assert!(first.iter().all(|id| [1, 2, 4].contains(id)), "{first:?}");
        assert!([1, 2, 4].iter().all(|id| first.contains(id)), "{first:?}");
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_the_mass() {
        // Probabilities 0.5, 0.3, 0.2.
        let logits: [f32; 3] = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        for (top_p, kept) in [(0.4, 1), (0.6, 2), (0.79, 2), (0.95, 3), (0.0, 1)] {
            let mut logits = logits;
            keep_top_p(&mut logits, Some(top_p), 1.0);
            assert_eq!(logits.iter().filter(|logit| logit.is_finite()).count(), kept, "{top_p}");
        }
    }
}
