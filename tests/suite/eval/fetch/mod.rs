//! `eval fetch`: benchmarks from a hub of the test's own.

mod archives;
mod benchmarks;
mod download;
mod kills;
mod plan;
pub(crate) mod shelf;
