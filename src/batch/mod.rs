//! Many clips, killed at any moment, each answered exactly once: inputs, their division among processes, and the output.

mod answered;
mod forgiven;
pub mod inputs;
mod job;
pub mod journal;
pub mod merge;
mod record;
mod schedule;
mod shard;
pub mod sidecar;
pub mod subtitles;
mod tally;
pub mod window;

pub use forgiven::{MaxErrors, NoMaxErrors};
pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use schedule::{Answerer, Desk, Finished, Next, Pace, Piece, Scout, Stop, run};
pub use shard::{NoShard, Shard};
pub use tally::{Identical, Summary, Tally};
