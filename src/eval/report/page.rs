//! What a page is made of, before it is one.

use super::model::Run;
use super::pair::Pair;
use super::words;

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The day it is made on; whoever makes it says so, and the same input makes the same bytes.
    pub date: String,
    /// The program that makes it, with its version.
    pub program: String,
    /// The files it is made of.
    pub files: Vec<super::File>,
    /// The runs, in the order of the benchmarks.
    pub runs: Vec<Run>,
    /// Runs of the same benchmark beside each other.
    pub pairs: Vec<Pair>,
}

impl Report {
    /// Some of the runs by their titles; most of them are "all others".
    pub(super) fn titles(&self, runs: &[usize]) -> String {
        if runs.len() > 3 && 2 * runs.len() > self.runs.len() {
            return "all others".to_owned();
        }
        runs.iter().map(|&run| self.runs[run].title()).collect::<Vec<_>>().join("; ")
    }

    /// How to read it, a paragraph each.
    pub(super) fn reading(&self) -> Vec<&'static str> {
        let mut reading = vec![words::INTERVALS];
        if self.has_card() {
            reading.push(words::READING);
        }
        if self.runs.iter().any(|run| run.table.drawn.0 > 0) {
            reading.push(words::DRAWS);
        }
        if self.runs.iter().any(Run::is_judged) {
            reading.push(words::DRIFT);
        }
        reading
    }
}
