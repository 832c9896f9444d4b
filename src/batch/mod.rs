//! Many clips, killed at any moment, each answered exactly once: inputs, their division among processes, and the output.

mod answered;
pub mod claim;
mod forgiven;
pub mod inputs;
mod job;
pub mod journal;
pub mod merge;
mod record;
pub mod schedule;
mod shard;
mod shard_auto;
pub mod sidecar;
pub mod subtitles;
mod tally;
pub mod window;

pub use forgiven::{MaxErrors, NoMaxErrors};
pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
pub use shard_auto::{NoAutoShard, NoShardChoice, ShardChoice};
pub use tally::{Identical, Summary, Tally};
