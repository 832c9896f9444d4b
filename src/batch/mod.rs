
pub mod inputs;
mod job;
mod record;
mod shard;

pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
