//! From parsed answers to figures: the score of a row, the harness's own aggregates, tables by category, submissions.

mod aggregate;
mod figure;
mod gold;
mod groups;
mod judged;
mod longvideobench;
mod mlvu;
mod record;
mod row;
mod scored;
pub mod submission;
mod table;
mod videomme;

pub use self::aggregate::{aggregate, mean_of_parts};
pub use self::figure::{Aggregate, AggregateError, Figure};
pub use self::groups::{Group, groups, video};
pub use self::judged::samples as judged_samples;
pub use self::row::{score_row, score_row_of};
pub use self::scored::Scored;
pub(crate) use self::table::observations;
pub use self::table::{Absence, Absent, Averaging, Line, Sample, Table, averaging, scale, table};

#[cfg(test)]
mod harness_tests;
