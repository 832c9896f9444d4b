//! `batch`, `batch merge` and `worker`: each input answered exactly once, whatever happens in between.

mod damage;
mod decoders;
mod inputs;
mod kills;
mod lists;
mod many;
mod memory;
mod merge;
mod parity;
#[cfg(target_os = "linux")]
mod readers;
mod refusals;
mod resume;
mod sidecars;
mod stops;
mod windows;
mod worker;
pub(crate) mod workplace;
