//! Token ids -> text, piece by piece: each piece is valid UTF-8, and all pieces joined are the whole answer.
//!
//! The answer is the bytes of all ids (special tokens add none) decoded as UTF-8 with U+FFFD for invalid sequences,
//! then stripped of outer white space, as `tokenizer.batch_decode(..., skip_special_tokens=True)` and `.strip()` do.

use crate::prompt::Tokenizer;

/// Turns ids into text as soon as it is certain.
#[derive(Debug, Default)]
pub struct TextStream {
    /// Bytes of a character that is not complete yet.
    pending: Vec<u8>,
    /// White space that is part of the answer only if something follows it.
    held_space: String,
    started: bool,
}

impl TextStream {
    /// Takes the next id and returns the text that is certain now, often empty.
    pub fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> String {
        self.push_bytes(&tokenizer.bytes(id))
    }

    /// The last of the text, once no more ids come: an incomplete character becomes U+FFFD.
    pub fn finish(mut self) -> String {
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned();
        self.strip(&rest)
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            let at_end = used + invalid.len() == self.pending.len();
            if at_end && is_incomplete(invalid) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            used += invalid.len();
        }
        self.pending.drain(..used);
        self.strip(&text)
    }

    /// Drops leading white space and holds trailing white space back.
    fn strip(&mut self, text: &str) -> String {
        let text = if self.started { text } else { text.trim_start_matches(is_python_space) };
        if text.is_empty() {
            return String::new();
        }
        self.started = true;
        let kept = text.trim_end_matches(is_python_space);
        let space = &text[kept.len()..];
        if kept.is_empty() {
            self.held_space.push_str(space);
            return String::new();
        }
        let mut out = std::mem::take(&mut self.held_space);
        out.push_str(kept);
        self.held_space.push_str(space);
        out
    }
}

/// Whether more bytes could complete the character that `bytes` begins.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// What Python's `str.strip` strips: Unicode white space and the four information separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(pieces: &[&[u8]]) -> Vec<String> {
        let mut stream = TextStream::default();
        let mut out: Vec<String> = pieces.iter().map(|piece| stream.push_bytes(piece)).collect();
        out.push(stream.finish());
        out
    }

    #[test]
    fn a_split_character_waits_for_its_last_byte() {
        let snowman = "☃".as_bytes();
        assert_eq!(stream(&[b"a", &snowman[..1], &snowman[1..2], &snowman[2..], b"!"]), ["a", "", "", "☃", "!", ""]);
    }

    #[test]
    fn punctuation_does_not_wait() {
        assert_eq!(stream(&[b"Yes", b",", b" it", b" is", b"."]), ["Yes", ",", " it", " is", ".", ""]);
    }

    #[test]
    fn outer_space_is_dropped_inner_space_kept() {
        assert_eq!(stream(&[b" \n", b" a", b" ", b"\n", b"b", b" ", b"\n"]).concat(), "a \nb");
    }

    #[test]
    fn an_unfinished_character_ends_as_a_replacement() {
        assert_eq!(stream(&[b"a", b"\xe2\x98"]), ["a", "", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_whole_decode(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..40),
        ) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = String::from_utf8_lossy(&pieces.concat()).into_owned();
            prop_assert_eq!(stream(&slices).concat(), whole.trim_matches(is_python_space));
        }

        #[test]
        fn text_in_any_cut_streams_unchanged(text in "\\PC{0,30}", cut in 1usize..4) {
            let slices: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(stream(&slices).concat(), text.trim_matches(is_python_space));
        }
    }
}
