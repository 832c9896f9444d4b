//! What can be wrong with an input, in words for whoever wrote the list.

use std::fmt;

use super::Place;

/// So many refusals are kept; of the rest only the number is.
const KEPT: usize = 20;

/// What is wrong with an input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// Bytes that are no text.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// Text that is not one object of JSON.
    #[error("is not an object of JSON: {0}")]
    NotJson(String),
    /// A key that is there twice.
    #[error("has `{0}` twice")]
    Twice(String),
    /// A key that means nothing.
    #[error("has an unknown key `{key}`{}", meant(*nearest))]
    Unknown {
        /// The key.
        key: String,
        /// What it was likely meant to be.
        nearest: Option<&'static str>,
    },
    /// A key that is not there.
    #[error("has no `{0}`")]
    Without(&'static str),
    /// A value that its key cannot have.
    #[error("`{key}`: expected {expected}")]
    Value {
        /// Its key.
        key: &'static str,
        /// What the key can have.
        expected: &'static str,
    },
    /// Two keys of which one is enough, or that contradict each other.
    #[error("has `{0}` and `{1}`, which do not go together")]
    Both(&'static str, &'static str),
    /// A part of a clip that is nothing.
    #[error("the start at {start_secs} s is not before the end at {end_secs} s")]
    NotBefore {
        /// From here.
        start_secs: f64,
        /// To here.
        end_secs: f64,
    },
    /// A clip on the network or in the line itself.
    #[error("`{0}` is a URL; only local files are read")]
    Url(String),
    /// A text that names no file, and why.
    #[error("{0}")]
    Path(String),
    /// A path that is not UTF-8 cannot be written in a record.
    #[error("the path `{0}` is not UTF-8 text")]
    PathNotUtf8(String),
    /// Nothing is asked.
    #[error("asks nothing")]
    NoQuestion,
    /// An id that another input has.
    #[error("the id `{id}` is that of {other} too")]
    SameId {
        /// The id.
        id: String,
        /// The first input with it.
        other: Place,
    },
    /// Not one clip among the parts of a message.
    #[error("has {0} parts of type `video_url`, where one is expected")]
    Videos(usize),
    /// A part of a message that is neither text nor a clip.
    #[error("has a part of type `{0}`; only `text` and `video_url` are understood")]
    Part(String),
    /// A system message other than the run's.
    #[error("has a system message that is not the run's")]
    System,
    /// A conversation.
    #[error("has more than one message of a user, or one of an assistant; one question is asked of a clip")]
    Turns,
    /// Sampling that is not the run's.
    #[error("`temperature` is not 0")]
    Temperature,
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl Mistake {
    /// What to do about it, where something helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unknown { .. } => {
                "what belongs to the reader of the output goes into `meta`, an object that is passed through"
            }
            Self::Value { key: "id" | "custom_id", .. } => "write numbers as text: \"17\"",
            Self::NoQuestion => "`question` or `questions` in the line, or --question for all",
            Self::SameId { .. } => {
                "give each input an `id` of its own; several questions about one clip go into `questions`"
            }
            Self::System => "--system sets the message of the whole run",
            Self::Temperature => "--temperature sets it for the whole run",
            Self::Url(_) => "download the clip and give its path",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// A mistake and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Where.
    pub place: Place,
    /// What.
    pub mistake: Mistake,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.mistake)
    }
}

/// All mistakes of a batch's inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refusals {
    /// The first of them.
    pub kept: Vec<Refusal>,
    /// How many there are.
    pub total: usize,
}

impl Refusals {
    pub(super) fn add(&mut self, place: Place, mistake: Mistake) {
        self.total += 1;
        if self.kept.len() < KEPT {
            self.kept.push(Refusal { place, mistake });
        }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.kept.iter().enumerate() {
            write!(f, "{}{refusal}", if index == 0 { "" } else { "; " })?;
        }
        match self.total - self.kept.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Refusals {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_kept() {
        let mut refusals = Refusals::default();
        for line in 1..=KEPT + 5 {
            refusals.add(Place::Line(line), Mistake::NoQuestion);
        }
        assert_eq!((refusals.kept.len(), refusals.total), (KEPT, KEPT + 5));
        let text = refusals.to_string();
        assert!(text.starts_with("line 1: asks nothing; line 2: ") && text.ends_with("; and 5 more"), "{text}");
    }
}
