
mod forgiven;
pub mod inputs;
mod job;
mod record;
mod shard;
pub mod subtitles;
pub mod window;

pub use forgiven::{MaxErrors, NoMaxErrors};
pub use job::{Job, JobFrames};
pub use record::{Failure, Head, Record, Run, Status};
pub use shard::{NoShard, Shard};
