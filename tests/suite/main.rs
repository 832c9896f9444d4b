//! Integration tests: the library against the reference's numbers, and the real binary on real clips.
//!
//! One test binary holds them all, so that the heavy dependencies are linked once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod batch;
mod cli;
mod eval;
mod house;
mod hub;
mod model;
mod report;
mod support;
mod video;
