//! A row with its output, parsed and compared.

use serde_json::{Map, Value};

use super::groups::Group;
use crate::eval::parse::Parsed;

/// A row with its output, parsed and compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The row's place within its part.
    pub row: usize,
    /// Its part.
    pub part: Option<String>,
    /// Its video.
    pub video: String,
    /// What the parser found.
    pub parsed: Parsed,
    /// The letter that was drawn where the parser found nothing and the protocol draws.
    pub drawn: Option<char>,
    /// The right answer, where it is known.
    pub gold: Option<String>,
    /// Whether the answer is right; `None` where that is not known here.
    pub is_correct: Option<bool>,
    /// Whether the row counts: MVBench leaves empty outputs out.
    pub is_counted: bool,
    /// Its categories.
    pub groups: Vec<Group>,
    /// What the harness hands to its aggregate, with its names.
    pub record: Map<String, Value>,
}

impl Scored {
    /// The answer: the letter or text found, or the letter drawn.
    pub fn answer(&self) -> Option<String> {
        match &self.parsed {
            Parsed::Letter(letter) => Some(letter.to_string()),
            Parsed::Text(text) => Some(text.clone()),
            Parsed::Nothing | Parsed::Random(_) => self.drawn.map(String::from),
        }
    }
}
