//! Checkpoints from a hub, and the cache that they are kept in.

mod download;
mod faults;
#[cfg(target_os = "linux")]
mod file_systems;
mod limits;
mod plan;
mod races;
mod refusals;
