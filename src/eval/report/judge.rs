//! Who judged the answers of a run.

/// One who judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    /// The name, by the judge's own word.
    pub name: String,
    /// The first and the last day.
    pub days: Option<(String, String)>,
    /// How many verdicts are its.
    pub verdicts: usize,
}
