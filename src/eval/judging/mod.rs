//! Records of judged benchmarks and their judges: what is to be asked about them, and where the verdicts are kept.

mod results;
mod tasks;

pub use self::results::{Judge, JudgedResults, JudgingError};
pub use self::tasks::{TaskError, Tasks, of_record, tasks};
