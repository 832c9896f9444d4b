//! `eval` through the real binary: benchmarks in their published formats, with clips of the demo model behind them, and
//! what needs no model.

mod benchmarks;
mod compare;
mod contexts;
mod data;
mod desk;
pub(crate) mod fetch;
mod judge;
mod list;
mod mvbench;
mod own;
mod refusals;
mod resume;
mod scores;
mod videomme;
