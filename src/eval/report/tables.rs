//! The tables of one run: by length of clip, then by each of its categories.

use super::model::Run;
use super::words;
use crate::eval::interval::Estimate;
use crate::eval::score::Line;

/// The lines of one dimension under their heading.
#[derive(Debug)]
pub(super) struct TableOf<'a> {
    pub(super) title: String,
    pub(super) lines: &'a [Line],
}

/// The tables of a run.
pub(super) fn tables(run: &Run) -> Vec<TableOf<'_>> {
    let by_length = run.lengths.chunk_by(|a, b| dimension(a) == dimension(b));
    let by_category = run.table.lines.chunk_by(|a, b| dimension(a) == dimension(b));
    by_length
        .chain(by_category)
        .map(|lines| TableOf { title: words::dimension(run.benchmark, dimension(&lines[0])), lines })
        .collect()
}

fn dimension(line: &Line) -> &str {
    line.group.as_ref().map_or("", |group| &group.dimension)
}

impl TableOf<'_> {
    /// What the plots of the table have to have room for.
    pub(super) fn values(&self) -> Vec<f64> {
        let estimates = self.lines.iter().filter_map(|line| line.estimate);
        let of = |estimate: Estimate| {
            let interval = estimate.interval.map(|interval| [interval.low, interval.high]);
            interval.into_iter().flatten().chain([estimate.mean])
        };
        estimates.flat_map(of).collect()
    }
}
