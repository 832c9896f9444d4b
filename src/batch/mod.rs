//! Many clips, killed at any moment, each answered exactly once: inputs, their division among processes, and the output.

mod job;
pub mod journal;
pub mod merge;
mod record;
mod shard;

pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
