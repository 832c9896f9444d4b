//! Integration tests: the library against the reference's numbers, and the real binary on real clips.
//!
//! One test binary holds them all, so that the heavy dependencies are linked once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod anyres;
mod ask;
mod bad_input;
mod clips;
mod completions;
#[cfg(target_os = "linux")]
mod confinement;
mod damage;
mod demo;
mod frames;
mod hostile_child;
mod hub;
mod hub_faults;
#[cfg(target_os = "linux")]
mod hub_file_systems;
mod hub_limits;
mod hub_plan;
mod hub_races;
mod hub_refusals;
mod isolation;
mod json;
mod large_frames;
mod limits;
mod long;
mod memory;
mod messages;
mod model;
mod odd_checkpoints;
mod odd_streams;
mod parity;
mod pictures;
mod preprocess;
mod program;
mod progress;
mod prompts;
mod quantize;
mod siblings;
mod signals;
mod steady;
mod streams;
mod support;
