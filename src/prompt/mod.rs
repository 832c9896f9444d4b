//! Conversation -> prompt: ordered segments of text token ids and visual tokens, their lengths known before compute.

mod picture_message;
mod template;
mod time_instruction;
mod tokenizer;

pub use picture_message::picture_message;
pub use template::{Conversation, DEFAULT_SYSTEM, Part, Turn, encode, end_of_turn};
pub use time_instruction::{TimeInstruction, user_message};
pub use tokenizer::Tokenizer;

use crate::size::counted;

/// Everything that can go wrong on the text side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tokenizer files.
    #[error("no tokenizer in `{}`: neither tokenizer.json nor vocab.json with merges.txt", dir.display())]
    NoTokenizer {
        /// The checkpoint directory.
        dir: std::path::PathBuf,
    },
    /// A tokenizer file that cannot be read or understood.
    #[error("cannot use tokenizer file `{}`: {message}", path.display())]
    BadTokenizer {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A checkpoint whose files cannot be reached.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::Error),
    /// A special token that the chat template needs.
    #[error("the tokenizer has no `{token}`, which the chat template needs")]
    NoSpecialToken {
        /// The token.
        token: &'static str,
    },
    /// Text that could not be tokenized.
    #[error("cannot tokenize the prompt: {message}")]
    Encode {
        /// The tokenizer's reason.
        message: String,
    },
    /// Visual tokens that do not meet the prompt's places for them.
    #[error("the prompt has {} for visual tokens, but was given {given}", counted(*places, "place"))]
    Places {
        /// Visual segments of the prompt.
        places: usize,
        /// Clips and pictures whose visual tokens were given.
        given: usize,
    },
    /// Pictures that leave no room for an answer.
    #[error("{}", too_many_pictures(*prompt_tokens, *context_length, *pictures))]
    TooManyPictures {
        /// Positions of the prompt up to the picture that is too much, visual tokens included.
        prompt_tokens: usize,
        /// Positions the model can hold, answer included.
        context_length: usize,
        /// Which picture is too much, counted from 1.
        pictures: usize,
    },
    /// A prompt that leaves no room for an answer.
    #[error("{}", too_long(*prompt_tokens, *context_length, *frames_that_fit))]
    TooLong {
        /// Positions of the prompt, visual tokens included.
        prompt_tokens: usize,
        /// Positions the model can hold, answer included.
        context_length: usize,
        /// The largest number of frames with which the prompt fits, if one does.
        frames_that_fit: Option<usize>,
    },
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooManyPictures { pictures: 2.., .. } => Some("ask about fewer pictures".to_owned()),
            Self::TooManyPictures { .. } => Some("shorten the question".to_owned()),
            Self::TooLong { frames_that_fit: Some(frames), .. } => Some(format!("use `--frames {frames}` or fewer")),
            Self::Checkpoint(error) => error.hint(),
            Self::TooLong { .. } => Some("shorten the question".to_owned()),
            _ => None,
        }
    }
}

fn too_long(prompt_tokens: usize, context_length: usize, frames_that_fit: Option<usize>) -> String {
    let fits = match frames_that_fit {
        Some(frames) => format!("{} would fit", counted(frames, "frame")),
        None => "even a single frame would not fit".to_owned(),
    };
    room(&format!("takes {prompt_tokens}"), context_length, &fits)
}

fn too_many_pictures(prompt_tokens: usize, context_length: usize, pictures: usize) -> String {
    let fits = match pictures {
        1 => "no picture of this shape would fit".to_owned(),
        2 => "the first picture alone would fit".to_owned(),
        n => format!("the first {} would fit", counted(n - 1, "picture")),
    };
    room(&format!("takes at least {prompt_tokens}"), context_length, &fits)
}

fn room(takes: &str, context_length: usize, fits: &str) -> String {
    format!("the prompt {takes} positions, but the model has room for fewer than {context_length}; {fits}")
}

/// A stretch of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text, as token ids.
    Tokens(Vec<u32>),
    /// The place of a clip's or a picture's visual tokens.
    Visual,
}

/// A prompt ready to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its stretches, in order.
    pub segments: Vec<Segment>,
}

impl Prompt {
    /// Ids of all text segments, with `placeholder` where visual tokens go (the reference writes -200).
    pub fn ids_with_placeholder(&self, placeholder: i64) -> Vec<i64> {
        let ids = |segment: &Segment| match segment {
            Segment::Tokens(ids) => ids.iter().copied().map(i64::from).collect(),
            Segment::Visual => vec![placeholder],
        };
        self.segments.iter().flat_map(ids).collect()
    }

    /// Whether there are visual tokens for each of its visual segments, `given` being those of so many clips and
    /// pictures.
    ///
    /// # Errors
    /// [`Error::Places`] where the numbers differ.
    pub fn check_places(&self, given: usize) -> Result<(), Error> {
        let places = self.segments.iter().filter(|segment| **segment == Segment::Visual).count();
        if places == given { Ok(()) } else { Err(Error::Places { places, given }) }
    }

    /// Positions that the prompt takes, `visual_tokens` being those of all visual segments together.
    pub fn len(&self, visual_tokens: usize) -> usize {
        let len = |segment: &Segment| match segment {
            Segment::Tokens(ids) => ids.len(),
            Segment::Visual => 0,
        };
        self.segments.iter().map(len).sum::<usize>() + visual_tokens
    }
}
