//! Many clips, killed at any moment, each answered exactly once: inputs, their division among processes, the loop that
//! answers them, and the output.

mod answered;
pub mod claim;
mod digest;
mod failure;
mod forgiven;
pub mod inputs;
mod job;
pub mod journal;
mod lanes;
mod ledger;
mod looking;
pub mod merge;
mod record;
pub mod schedule;
mod shard;
mod shard_auto;
pub mod sidecar;
pub mod subtitles;
mod tally;
pub mod window;

pub use digest::RunParts;
pub use forgiven::{MaxErrors, NoMaxErrors};
pub use job::{Job, JobFrames};
pub use lanes::{Answered, LaneOptions, Lanes, PieceOutcome};
pub use ledger::{Ledger, LedgerError, Made, Onlooker, Sidecars};
pub use looking::{LookOptions, Looker, Sight, Windowing};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
pub use shard_auto::{NoAutoShard, NoShardChoice, ShardChoice};
pub use tally::{Counts, Identical, Summary, Tally};
