//! What a parser finds in an output.

/// What a parser finds in an output.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Parsed {
    /// The letter of an option, from `A`.
    Letter(char),
    /// A text that is compared to the right letter as it is.
    Text(String),
    /// No answer.
    Nothing,
    /// No answer, so that the harness draws one of these many letters, from `A`.
    Random(usize),
}

impl Parsed {
    /// The letters that the harness draws from, if it does.
    pub fn random_from(&self) -> Option<Vec<char>> {
        match self {
            Self::Random(letters) => Some(('A'..='Z').take(*letters).collect()),
            Self::Letter(_) | Self::Text(_) | Self::Nothing => None,
        }
    }
}
