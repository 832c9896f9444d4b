//! The qwen_1_5 chat template, by token id: special tokens enter as ids, so user text cannot type its way out.
//!
//! `<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n`.
//! Reference: `conv_qwen` and `SeparatorStyle.CHATML` in LLaVA-NeXT `conversation.py`, `tokenizer_image_token` in
//! `mm_utils.py` (text on either side of a placeholder is tokenized alone).

use super::{Error, Prompt, Segment, Tokenizer};

/// The template's own system sentence.
pub const DEFAULT_SYSTEM: &str = "You are a helpful assistant.";

const IM_START: &str = "<|im_start|>";
const IM_END: &str = "<|im_end|>";

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Plain text, whatever it contains: what users write.
    Text(String),
    /// Text in which special-token strings stand for special tokens: what the reference makes of all text.
    Markup(String),
    /// A clip's (or image's) visual tokens.
    Visual,
}

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// What the user says.
    User(Vec<Part>),
    /// What the model answered before. Its turn is closed whatever it holds: the reference leaves that of an empty
    /// answer open (`get_prompt` takes it for the turn that is to be answered).
    Assistant(Vec<Part>),
}

/// What is said so far; the model's answer comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The system message; `None` leaves out the whole block.
    pub system: Option<String>,
    /// Messages in order.
    pub turns: Vec<Turn>,
}

/// Encodes a conversation up to the point where the model answers.
///
/// # Errors
/// A tokenizer without the template's special tokens, or one that fails.
pub fn encode(conversation: &Conversation, tokenizer: &Tokenizer) -> Result<Prompt, Error> {
    let mut encoder = Encoder::new(tokenizer)?;
    if let Some(system) = &conversation.system {
        encoder.message("system", &[Part::Text(system.clone())])?;
    }
    for turn in &conversation.turns {
        match turn {
            Turn::User(parts) => encoder.message("user", parts)?,
            Turn::Assistant(parts) => encoder.message("assistant", parts)?,
        }
    }
    encoder.special(encoder.im_start)?;
    encoder.text("assistant\n");
    encoder.finish()
}

/// The id that ends a turn, with which the model ends its answer.
///
/// # Errors
/// [`Error::NoSpecialToken`] from a tokenizer without it.
pub fn end_of_turn(tokenizer: &Tokenizer) -> Result<u32, Error> {
    special_id(tokenizer, IM_END)
}

fn special_id(tokenizer: &Tokenizer, token: &'static str) -> Result<u32, Error> {
    tokenizer.special_id(token).ok_or(Error::NoSpecialToken { token })
}

/// Collects segments; neighbouring text is joined before it is tokenized, since merges reach across joins.
struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    im_start: u32,
    im_end: u32,
    segments: Vec<Segment>,
    text: String,
}

impl<'t> Encoder<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Result<Self, Error> {
        let (im_start, im_end) = (special_id(tokenizer, IM_START)?, end_of_turn(tokenizer)?);
        Ok(Self { tokenizer, im_start, im_end, segments: Vec::new(), text: String::new() })
    }

    fn message(&mut self, role: &str, parts: &[Part]) -> Result<(), Error> {
        self.special(self.im_start)?;
        self.text(role);
        self.text("\n");
        for part in parts {
            match part {
                Part::Text(text) => self.text(text),
                Part::Markup(markup) => self.markup(markup)?,
                Part::Visual => {
                    self.flush()?;
                    self.segments.push(Segment::Visual);
                }
            }
        }
        self.special(self.im_end)?;
        self.text("\n");
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn markup(&mut self, markup: &str) -> Result<(), Error> {
        let mut rest = markup;
        while let Some((before, id, after)) = self.tokenizer.split_at_special(rest) {
            self.text(before);
            self.special(id)?;
            rest = after;
        }
        self.text(rest);
        Ok(())
    }

    fn special(&mut self, id: u32) -> Result<(), Error> {
        self.flush()?;
        self.push_ids(&[id]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.text.is_empty() {
            let ids = self.tokenizer.encode_plain(&self.text)?;
            self.push_ids(&ids);
            self.text.clear();
        }
        Ok(())
    }

    fn push_ids(&mut self, ids: &[u32]) {
        match self.segments.last_mut() {
            Some(Segment::Tokens(last)) => last.extend_from_slice(ids),
            _ => self.segments.push(Segment::Tokens(ids.to_vec())),
        }
    }

    fn finish(mut self) -> Result<Prompt, Error> {
        self.flush()?;
        Ok(Prompt { segments: self.segments })
    }
}
