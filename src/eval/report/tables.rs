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
    let dimension = |line: &Line| line.group.as_ref().map(|group| group.dimension.clone());
    let by_dimension = [&run.lengths, &run.table.lines].into_iter().flat_map(|lines| {
        lines.chunk_by(move |a, b| dimension(a) == dimension(b))
    });
    let table = |lines: &'_ [Line]| {
        let title = dimension(&lines[0]).map(|name| words::dimension(run.benchmark, &name)).unwrap_or_default();
        TableOf { title, lines }
    };
    by_dimension.map(table).collect()
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
