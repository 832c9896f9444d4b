//! Two runs of the same benchmark beside each other: in which settings they differ, and what one gains on the other.

use super::model::Run;
use crate::eval::compare::{CompareError, Comparison, compare};

/// Two runs of the same benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The first one's place in the report.
    pub first: usize,
    /// The second one's.
    pub second: usize,
    /// Settings with different values: the name, the first's, the second's; empty where one has none.
    pub settings: Vec<(String, String, String)>,
    /// What the second gains on the first, row by row; the reason where they cannot be compared.
    pub comparison: Result<Comparison, CompareError>,
}

/// Each further run of a benchmark beside the first one.
pub(super) fn pairs(runs: &[Run]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (second, run) in runs.iter().enumerate() {
        let is_same = |other: &Run| (other.benchmark, other.split) == (run.benchmark, run.split);
        let first = runs.iter().position(is_same).unwrap_or(second);
        if first < second {
            pairs.push(Pair::of(runs, first, second));
        }
    }
    pairs
}

impl Pair {
    fn of(runs: &[Run], first: usize, second: usize) -> Self {
        let (one, other) = (&runs[first], &runs[second]);
        let value = |run: &Run, name: &str| {
            run.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let more = other.settings.iter().filter(|(name, _)| one.settings.iter().all(|(known, _)| known != name));
        let names = one.settings.iter().chain(more).map(|(name, _)| name);
        let settings = names.map(|name| (name.clone(), value(one, name), value(other, name)));
        Self {
            first,
            second,
            settings: settings.filter(|(_, before, after)| before != after).collect(),
            comparison: compare(&one.samples, &other.samples, &one.averaging, one.scale),
        }
    }
}
