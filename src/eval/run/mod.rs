//! A run of an evaluation: from rows to jobs of a batch, and from answers to records.

mod answer;
mod plan;
mod settings;
mod source;

pub use self::answer::Answered;
pub use self::plan::{Asked, Plan, PlanError, Sitting, plan};
pub use self::settings::{DRAW_SEED, Manner, Ran};
pub use self::source::{Source, SourceError};
