//! The benchmarks of the model card, as the harness runs them: data, videos, contexts, protocols, parsers, scores,
//! intervals, judges, and the records that hold all of it.

mod benchmark;
pub mod compare;
pub mod context;
pub mod cost;
pub mod data;
pub mod interval;
pub mod judge;
pub mod judging;
pub mod list;
pub mod own;
pub mod parse;
pub mod predictions;
pub mod protocol;
pub mod python;
pub mod python_json;
pub mod report;
pub mod results;
pub mod run;
pub mod score;
pub mod videos;
pub mod wrapper;

pub use benchmark::{BadColumn, Benchmark, Harness, NoBenchmark, NoHarness, NoSplit, Row, Split};

#[cfg(test)]
mod tests;
