//! Records of an evaluation, as the lines of a file: what a run writes, and what scores, comparisons, judges and
//! reports are made of.

mod figures;
mod harness;
mod read;
mod record;
mod scored;
mod verdict;

pub use self::figures::{Outcome, figures, of_records, outcome, without_record};
pub use self::harness::{PartFigures, handed_in, harness_figures, harness_mean};
pub use self::read::{Results, ResultsError, read};
#[cfg(test)]
pub(crate) use self::record::tests::record as record_of;
pub use self::record::{Eval, ResultRecord, Scoring, kind};
pub use self::scored::row_id;
pub use self::verdict::SideVerdict;
