//! What a tile fetches into the cache while it computes: what will be read next, or written.
//!
//! Rows of a head lie far apart in memory, and a block of keys is packed in one go. Left to itself the processor would
//! wait for memory then, and leave the memory idle while it multiplies.

use std::ops::Range;

use super::fetch::fetch;
use super::problem::{Problem, SharedOut};

/// What to fetch during one tile's scores and sums, a part at a time.
#[derive(Debug, Clone)]
pub(super) struct Ahead<'a> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) out: &'a SharedOut<'a>,
    pub(super) part: usize,
    /// Rows of keys and of values.
    pub(super) keys: Range<usize>,
    /// Lanes whose queries will be packed.
    pub(super) queries: Range<usize>,
    /// Lanes whose outputs will be written.
    pub(super) outputs: Range<usize>,
}

impl Ahead<'_> {
    /// Fetches what belongs to some of all keys that are scored: keys, queries, outputs.
    pub(super) fn fetch_in_scores(&self, done: Range<usize>, all: usize) {
        let width = self.problem.width;
        if !self.keys.is_empty() {
            let keys = self.problem.keys(self.part);
            part_of(&self.keys, &done, all).for_each(|row| keys.fetch(row, width));
        }
        for lane in part_of(&self.queries, &done, all) {
            fetch(self.problem.query(self.part, lane).as_ptr(), width);
        }
        for lane in part_of(&self.outputs, &done, all) {
            self.out.fetch(self.problem.out_start(self.part, lane), width);
        }
    }

    /// Fetches what belongs to some of all dims that are summed: values.
    pub(super) fn fetch_in_sums(&self, done: Range<usize>, all: usize) {
        if !self.keys.is_empty() {
            let values = self.problem.values(self.part);
            part_of(&self.keys, &done, all).for_each(|row| values.fetch(row, self.problem.width));
        }
    }
}

/// What of `range` belongs to a part of `all`.
fn part_of(range: &Range<usize>, part: &Range<usize>, all: usize) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    let place = |at: usize| range.start + (range.len() * at).div_ceil(all);
    place(part.start)..place(part.end)
}
