//! Figures of the harness, and how they are counted.

use serde_json::{Map, Value};

use crate::eval::Benchmark;

/// One figure of the harness.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The harness's name of it.
    pub name: &'static str,
    /// From 0 to 1, to 5 or to 100, as the harness has it.
    pub value: f64,
}

impl Figure {
    /// As the harness's table of results prints it.
    pub fn printed(&self) -> String {
        format!("{:.4}", self.value)
    }
}

/// What the harness makes of a benchmark's records.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregate {
    /// Its figures, the one that the card gives first.
    pub figures: Vec<Figure>,
    /// The lines it logs about categories.
    pub log: Vec<String>,
}

impl Aggregate {
    /// The figure that the card gives.
    pub fn value(&self) -> Option<f64> {
        Some(self.figures.first()?.value)
    }

    pub(super) fn one(name: &'static str, value: f64) -> Self {
        Self { figures: vec![Figure { name, value }], log: Vec::new() }
    }
}

/// Why the harness has no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// A category that the harness does not expect, at which it ends.
    #[error("the harness ends at an unknown {column}: `{name}`")]
    UnknownCategory {
        /// The field of the record.
        column: &'static str,
        /// What it holds.
        name: String,
    },
    /// The harness divides by the number of rows.
    #[error("there are no rows")]
    NoRows,
    /// The harness makes no figure of this benchmark here: a server or a part of it does.
    #[error("the harness has no figure for {0} here")]
    NoFigure(Benchmark),
    /// A record that is not the harness's.
    #[error("record {record} has no usable `{field}`")]
    BadRecord {
        /// Its place, counted from 0.
        record: usize,
        /// The field.
        field: &'static str,
    },
}

/// The text of a record's field.
pub(super) fn text<'a>(
    index: usize,
    record: &'a Map<String, Value>,
    field: &'static str,
) -> Result<&'a str, AggregateError> {
    record.get(field).and_then(Value::as_str).ok_or(AggregateError::BadRecord { record: index, field })
}

/// Rows of a category, and how many are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) right: usize,
    pub(super) rows: usize,
}

impl Tally {
    pub(super) fn add(&mut self, is_right: bool) {
        self.right += usize::from(is_right);
        self.rows += 1;
    }

    /// 0 where there are no rows, as the harness has it.
    pub(super) fn percent(self) -> f64 {
        match self.rows {
            0 => 0.0,
            rows => (100 * self.right) as f64 / rows as f64,
        }
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, one| Self { right: sum.right + one.right, rows: sum.rows + one.rows })
    }
}
