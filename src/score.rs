//! How well a language model predicts a text: the measure by which quantizations are compared.
//!
//! The text's ids are cut into windows of equal length that do not overlap. In each window every id but the first is
//! predicted from those before it in the window. Perplexity is `exp(-mean(ln p))` over all predicted ids of all
//! windows, as `p` the softmax over the ids that can be generated.

use rayon::prelude::*;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::language::Qwen2;

/// What scoring a text gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Ids that were predicted.
    pub predicted: usize,
    /// Windows that the text was cut into.
    pub windows: usize,
    /// Mean of `-ln p`, in nats per id.
    pub mean_nats: f64,
}

impl Score {
    /// `exp` of the mean.
    pub fn perplexity(&self) -> f64 {
        self.mean_nats.exp()
    }
}

/// Scores `ids` in windows of `window` ids; `progress` is told how many ids are done. `None` if nothing is predicted.
///
/// # Errors
/// An interrupt or a failing device.
pub fn score(
    language: &Qwen2,
    ids: &[u32],
    window: usize,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<Score>, Error> {
    let (mut predicted, mut windows, mut nats, mut done) = (0, 0, 0f64, 0);
    for window in ids.chunks(window.max(1)).filter(|window| window.len() > 1) {
        let mut on_positions = |positions| progress(done + positions, ids.len());
        let mut targets = window[1..].iter();
        let mut on_logits = |logits: Vec<Vec<f32>>| {
            let pairs: Vec<(Vec<f32>, u32)> = logits.into_iter().zip(targets.by_ref().copied()).collect();
            predicted += pairs.len();
            nats += pairs.par_iter().map(|(logits, target)| surprise(logits, *target)).sum::<f64>();
        };
        let mut cache = language.new_cache(window.len());
        language.all_logits(window, &mut cache, interrupt, &mut on_positions, &mut on_logits)?;
        windows += 1;
        done += window.len();
    }
    progress(ids.len(), ids.len());
    Ok((predicted > 0).then(|| Score { predicted, windows, mean_nats: nats / predicted as f64 }))
}

/// The natural logarithm of the softmax of `logits`, in f64.
pub fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let normalizer = log_sum_exp(logits);
    logits.iter().map(|&logit| f64::from(logit) - normalizer).collect()
}

/// The divergence of `other` from `reference`, both natural logarithms of probabilities, in nats: how much is lost by
/// taking `other` for `reference`.
pub fn kl_divergence(reference: &[f64], other: &[f64]) -> f64 {
    let terms = reference.iter().zip(other).map(|(&p, &q)| if p.is_finite() { p.exp() * (p - q) } else { 0.0 });
    terms.sum()
}

/// `-ln p` of `target`; infinite for an id that cannot be generated.
pub(crate) fn surprise(logits: &[f32], target: u32) -> f64 {
    let logit = logits.get(target as usize).copied().unwrap_or(f32::NEG_INFINITY);
    log_sum_exp(logits) - f64::from(logit)
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    max + logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_as_surprising_as_there_are_ids() {
        let logits = [3.5f32; 8];
        assert!((surprise(&logits, 2) - 8f64.ln()).abs() < 1e-12);
        assert_eq!(surprise(&logits, 8), f64::INFINITY);
        assert!(log_probabilities(&logits).iter().all(|log| (log + 8f64.ln()).abs() < 1e-12));
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert!((surprise(&[1e30, 0.0], 0)).abs() < 1e-12);
        assert!((surprise(&[-1e4, -1e4 + 1.0], 0) - (1.0 + 1f64.exp()).ln()).abs() < 1e-9);
    }

    #[test]
    fn divergence_is_zero_for_the_same_and_known_for_a_coin() {
        let fair = log_probabilities(&[0.0, 0.0]);
        assert_eq!(kl_divergence(&fair, &fair), 0.0);
        let biased = [0.9f64.ln(), 0.1f64.ln()];
        let expected = 0.5 * (0.5f64 / 0.9).ln() + 0.5 * (0.5f64 / 0.1).ln();
        assert!((kl_divergence(&fair, &biased) - expected).abs() < 1e-12);
    }
}
