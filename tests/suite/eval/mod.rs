//! `eval` through the real binary: benchmarks in their published formats, with clips of the demo model behind them.

mod benchmarks;
mod desk;
pub(crate) mod fetch;
mod mvbench;
mod own;
mod refusals;
mod resume;
