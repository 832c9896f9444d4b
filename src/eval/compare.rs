//! Two runs over the same rows: what one gains on the other, with the interval of the paired difference.

use std::collections::HashMap;

use super::interval::{Estimate, Observation, estimate};
use super::score::{Averaging, Sample, observations};

/// What the second run gains on the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The mean of the differences over the common rows, averaged as the figure is; `None` without common rows.
    pub difference: Option<Estimate>,
    /// The figures of both over the common rows.
    pub figures: Option<(f64, f64)>,
    /// Common rows where the second has more, where the first has more, and where both have the same.
    pub gained: usize,
    /// See `gained`.
    pub lost: usize,
    /// See `gained`.
    pub same: usize,
    /// Rows that only the first has, or that count there only.
    pub only_first: usize,
    /// Rows that only the second has, or that count there only.
    pub only_second: usize,
}

/// Why two runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// The same row is about different videos: the runs are over different data.
    #[error("row {row} is about `{first}` in one run and about `{second}` in the other")]
    OtherVideo {
        /// The row.
        row: usize,
        /// The first run's video.
        first: String,
        /// The second's.
        second: String,
    },
    /// A run has a row twice.
    #[error("row {row} is there twice")]
    Twice {
        /// The row.
        row: usize,
    },
}

/// Compares two runs; `scale` is the factor to the card's scale.
///
/// # Errors
/// The runs are over different data.
pub fn compare(
    first: &[Sample],
    second: &[Sample],
    averaging: &Averaging,
    scale: f64,
) -> Result<Comparison, CompareError> {
    let (first, second) = (by_row(first)?, by_row(second)?);
    let mut common: Vec<(&Sample, f64, f64)> = Vec::new();
    let mut keys: Vec<&Key<'_>> = first.keys().collect();
    keys.sort();
    for key in keys {
        let one = first[key];
        let Some(other) = second.get(key) else { continue };
        if one.video != other.video {
            let (first, second) = (one.video.clone(), other.video.clone());
            return Err(CompareError::OtherVideo { row: one.row, first, second });
        }
        if let (Some(before), Some(after)) = (one.value, other.value) {
            common.push((one, before, after));
        }
    }
    let counted = |samples: &HashMap<_, &Sample>| samples.values().filter(|sample| sample.value.is_some()).count();
    let figure = |value: fn(f64, f64) -> f64| over(&common, averaging, value).map(|found| found.scaled(scale));
    let means = (figure(|before, _| before), figure(|_, after| after));
    Ok(Comparison {
        difference: figure(|before, after| after - before),
        figures: means.0.zip(means.1).map(|(before, after)| (before.mean, after.mean)),
        gained: common.iter().filter(|(_, before, after)| after > before).count(),
        lost: common.iter().filter(|(_, before, after)| after < before).count(),
        same: common.iter().filter(|(_, before, after)| after == before).count(),
        only_first: counted(&first) - common.len(),
        only_second: counted(&second) - common.len(),
    })
}

type Key<'a> = (&'a Option<String>, usize);

fn by_row(samples: &[Sample]) -> Result<HashMap<Key<'_>, &Sample>, CompareError> {
    let mut rows = HashMap::new();
    for sample in samples {
        if rows.insert((&sample.part, sample.row), sample).is_some() {
            return Err(CompareError::Twice { row: sample.row });
        }
    }
    Ok(rows)
}

fn over(common: &[(&Sample, f64, f64)], averaging: &Averaging, value: fn(f64, f64) -> f64) -> Option<Estimate> {
    let samples: Vec<Sample> = common
        .iter()
        .map(|&(sample, before, after)| Sample { value: Some(value(before, after)), ..sample.clone() })
        .collect();
    let all: Vec<&Sample> = samples.iter().collect();
    let (observations, classes): (Vec<Observation<'_>>, usize) = observations(&all, averaging);
    estimate(&observations, classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: &[Option<f64>]) -> Vec<Sample> {
        let sample = |(row, value): (usize, &Option<f64>)| Sample {
            row,
            part: None,
            video: (row / 2).to_string(),
            groups: Vec::new(),
            value: *value,
        };
        values.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn a_run_gains_nothing_on_itself() {
        let values: Vec<_> = (0..9).map(|row| Some(f64::from(row % 2))).collect();
        let found = compare(&run(&values), &run(&values), &Averaging::Rows, 100.0).unwrap();
        assert_eq!((found.gained, found.lost, found.same), (0, 0, 9));
        assert_eq!(found.difference.map(|found| (found.mean, found.interval)), Some((0.0, None)));
    }

    #[test]
    fn differences_are_paired_and_clustered() {
        let (one, zero) = (Some(1.0), Some(0.0));
        let first = run(&[one, zero, zero, one, None, one]);
        let second = run(&[one, one, one, one, one]);
        let found = compare(&first, &second, &Averaging::Rows, 100.0).unwrap();
        assert_eq!((found.gained, found.lost, found.same), (2, 0, 2));
        assert_eq!((found.only_first, found.only_second), (1, 1));
        assert_eq!(found.figures, Some((50.0, 100.0)));
        let difference = found.difference.unwrap();
        // Both videos gain one of two, so that nothing varies between them.
        assert_eq!((difference.mean, difference.clusters, difference.interval), (50.0, 2, None));
    }

    #[test]
    fn different_data_are_refused() {
        let first = run(&[Some(1.0)]);
        let other = vec![Sample { video: "x".to_owned(), ..first[0].clone() }];
        let error = compare(&first, &other, &Averaging::Rows, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "row 0 is about `0` in one run and about `x` in the other");
        let twice = [first.clone(), first.clone()].concat();
        assert_eq!(compare(&twice, &first, &Averaging::Rows, 1.0), Err(CompareError::Twice { row: 0 }));
        assert_eq!(compare(&first, &[], &Averaging::Rows, 1.0).unwrap().difference, None);
    }
}
