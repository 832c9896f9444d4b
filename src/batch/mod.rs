//! Many clips, killed at any moment, each answered exactly once: inputs, their division among processes, and the output.

mod claim;
mod job;
mod record;
mod shard;
mod shard_auto;

pub use claim::{ClaimError, Claims, End, Lease, Next, Pace, Permit, Queue, Taken};
pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
pub use shard_auto::{NoAutoShard, NoShardChoice, ShardChoice};
