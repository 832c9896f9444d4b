//! 95 % intervals of a mean whose rows come in clusters: questions about one video are right or wrong together.
//!
//! The standard error is the cluster-robust one of a mean (Liang and Zeger, "Longitudinal data analysis using
//! generalized linear models", Biometrika 73, 1986; for evaluations of models: Miller, "Adding error bars to evals",
//! arXiv 2411.00640, 2024): the residuals of each cluster are summed, and the squares of these sums make the variance.
//! It is widened by G / (G - 1) for the G clusters and by Student's t of G - 1 degrees of freedom (Cameron and Miller,
//! "A practitioner's guide to cluster-robust inference", Journal of Human Resources 50, 2015). A mean of the means of
//! classes is treated alike: each residual is divided by the rows and the number of its classes. The interval is
//! symmetric and may pass the ends of the scale; near those, and for few videos, it is rough.

use std::collections::HashMap;
use std::f64::consts::FRAC_2_PI;

/// One row's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation<'a> {
    /// Its video.
    pub cluster: &'a str,
    /// The class whose mean it is part of, counted from 0.
    pub class: usize,
    /// The value.
    pub value: f64,
}

/// A mean with its interval, in the scale of the values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The mean over all rows, or of the means of the classes.
    pub mean: f64,
    /// Rows behind it.
    pub rows: usize,
    /// Clusters of them.
    pub clusters: usize,
    /// None where there are fewer than two clusters, or where nothing varies: then the data say nothing about it.
    pub interval: Option<Interval>,
}

/// An interval that holds the true mean in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The clustered standard error behind it.
    pub standard_error: f64,
}

impl Estimate {
    /// In another scale, as per cent.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let interval = self.interval.map(|interval| Interval {
            low: interval.low * factor,
            high: interval.high * factor,
            standard_error: interval.standard_error * factor,
        });
        Self { mean: self.mean * factor, interval, ..self }
    }
}

/// The mean of the means of `classes` classes, with its interval; of one class, the mean over all rows. A class without
/// rows has the mean 0. `None` without rows.
///
/// # Panics
/// An observation of a class that there is not.
pub fn estimate(observations: &[Observation<'_>], classes: usize) -> Option<Estimate> {
    let mut sums = vec![(0.0, 0.0); classes];
    for observation in observations {
        let (sum, rows) = &mut sums[observation.class];
        *sum += observation.value;
        *rows += 1.0;
    }
    if observations.is_empty() {
        return None;
    }
    let means: Vec<f64> = sums.iter().map(|&(sum, rows)| if rows > 0.0 { sum / rows } else { 0.0 }).collect();
    let mean = means.iter().sum::<f64>() / classes as f64;
    let mut residuals: HashMap<&str, f64> = HashMap::new();
    for observation in observations {
        let residual = observation.value - means[observation.class];
        *residuals.entry(observation.cluster).or_default() += residual / sums[observation.class].1 / classes as f64;
    }
    let clusters = residuals.len();
    let interval = interval(mean, residuals.into_values().collect());
    Some(Estimate { mean, rows: observations.len(), clusters, interval })
}

fn interval(mean: f64, mut residuals: Vec<f64>) -> Option<Interval> {
    // In an order of their own, so that the last digit is always the same.
    residuals.sort_by(f64::total_cmp);
    let clusters = residuals.len();
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    if clusters < 2 || squares < f64::EPSILON * f64::EPSILON {
        return None;
    }
    let standard_error = (squares * clusters as f64 / (clusters - 1) as f64).sqrt();
    let half = student_t_95(clusters - 1) * standard_error;
    Some(Interval { low: mean - half, high: mean + half, standard_error })
}

/// The t that Student's distribution of `degrees` degrees of freedom stays within in 95 of 100 cases, by bisection.
fn student_t_95(degrees: usize) -> f64 {
    let (mut low, mut high) = (1.9, 13.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match within(middle, degrees) < 0.95 {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// The probability of |T| < t, by the finite series for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and
/// 26.7.4).
fn within(t: f64, degrees: usize) -> f64 {
    let angle = (t / (degrees as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    let (mut term, mut sum, mut k) = if is_odd { (cos, 0.0, 1.0) } else { (1.0, 0.0, 0.0) };
    // Odd: cos + 2/3 cos^3 + 2/3 4/5 cos^5 ...; even: 1 + 1/2 cos^2 + 1/2 3/4 cos^4 ...
    for _ in 0..degrees / 2 {
        sum += term;
        k += 2.0;
        term *= cos * cos * (k - 1.0) / k;
    }
    match is_odd {
        true => FRAC_2_PI * (angle + sin * sum),
        false => sin * sum,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Right-hand sides from tables of Student's distribution.
    #[test]
    fn quantiles_are_students() {
        for (degrees, t) in [(1, 12.706_204_7), (2, 4.302_652_7), (3, 3.182_446_3), (7, 2.364_624_3), (30, 2.042_272_5)]
        {
            assert!((student_t_95(degrees) - t).abs() < 1e-6, "{degrees}: {}", student_t_95(degrees));
        }
        assert!((student_t_95(899) - 1.962_6).abs() < 1e-4);
        assert!((student_t_95(20_000) - 1.960_1).abs() < 1e-4);
    }

    fn of(values: &[(&str, usize, f64)], classes: usize) -> Estimate {
        let observations: Vec<_> =
            values.iter().map(|&(cluster, class, value)| Observation { cluster, class, value }).collect();
        estimate(&observations, classes).unwrap()
    }

    #[test]
    fn by_hand() {
        // Residuals of the clusters: a 0.5 + 0.5 = 1, b -0.5, c -0.5; sum of squares 1.5, over 16, times 3 / 2.
        let found = of(&[("a", 0, 1.0), ("a", 0, 1.0), ("b", 0, 0.0), ("c", 0, 0.0)], 1);
        let interval = found.interval.unwrap();
        assert_eq!((found.mean, found.rows, found.clusters), (0.5, 4, 3));
        assert!((interval.standard_error - (1.5f64 / 16.0 * 1.5).sqrt()).abs() < 1e-12);
        assert!((interval.high - 0.5 - 4.302_652_7 * interval.standard_error).abs() < 1e-6);
    }

    #[test]
    fn nothing_that_varies_is_no_interval() {
        assert_eq!(of(&[("a", 0, 1.0), ("b", 0, 1.0)], 1).interval, None);
        assert_eq!(of(&[("a", 0, 1.0), ("a", 0, 0.0)], 1).interval, None);
        assert_eq!(estimate(&[], 1), None);
    }

    #[test]
    fn a_class_without_rows_is_0() {
        let found = of(&[("a", 0, 1.0), ("b", 0, 0.0), ("c", 2, 1.0)], 4);
        assert_eq!(found.mean, (0.5 + 0.0 + 1.0 + 0.0) / 4.0);
        assert_eq!(found.scaled(100.0).mean, 37.5);
    }

    proptest! {
        /// Of clusters of one row each it is the textbook's standard error of a mean.
        #[test]
        fn single_rows_are_the_textbooks(values in prop::collection::vec(-5.0f64..5.0, 2..40)) {
            let names: Vec<String> = (0..values.len()).map(|index| index.to_string()).collect();
            let rows: Vec<_> = names.iter().zip(&values).map(|(name, &value)| (name.as_str(), 0, value)).collect();
            let found = of(&rows, 1);
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert!((found.mean - mean).abs() < 1e-12);
            if let Some(interval) = found.interval {
                prop_assert!((interval.standard_error - (variance / n).sqrt()).abs() < 1e-9);
                prop_assert!(interval.low <= mean && mean <= interval.high);
            }
        }

        /// Rows that are said twice in their clusters say nothing new.
        #[test]
        fn copies_do_not_narrow_the_interval(values in prop::collection::vec(0.0f64..1.0, 3..20)) {
            let names: Vec<String> = (0..values.len()).map(|index| index.to_string()).collect();
            let once: Vec<_> = names.iter().zip(&values).map(|(name, &value)| (name.as_str(), 0, value)).collect();
            let twice = [once.clone(), once.clone()].concat();
            let (once, twice) = (of(&once, 1).interval, of(&twice, 1).interval);
            prop_assert_eq!(once.is_some(), twice.is_some());
            if let (Some(once), Some(twice)) = (once, twice) {
                prop_assert!((once.standard_error - twice.standard_error).abs() < 1e-9);
            }
        }
    }
}
