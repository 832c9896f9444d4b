//! Records of an evaluation, as the lines of a file: what a run writes, and what scores, comparisons, judges and reports
//! are made of.

mod figures;
mod read;
mod record;
mod verdict;

pub use self::figures::{Outcome, figures, outcome};
pub use self::read::{Results, ResultsError, read};
pub use self::record::{Eval, ResultRecord, Scoring, kind};
pub use self::verdict::SideVerdict;
