//! Lines that come without a terminal that could edit them: from a pipe, a file, or a terminal too simple for it.

use anyhow::Result;
use llava_video::interrupt::Interrupt;

use super::super::output::Printer;
use super::super::stream::{Pieces, Stream};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line without its end, or several that were sent as one.
    Line(String),
    /// A line that is no UTF-8 text.
    NotText,
    /// Nothing for now: what was typed is cleared.
    Cleared,
    /// No more lines come.
    End,
}

/// Bytes that become lines.
struct Cutter {
    bytes: Vec<u8>,
    /// No end of a line is in the bytes before.
    searched: usize,
    is_at_start: bool,
}

impl Cutter {
    fn new() -> Self {
        Self { bytes: Vec::new(), searched: 0, is_at_start: true }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The next whole line; with `is_end`, the last one even if nothing ends it.
    fn next(&mut self, is_end: bool) -> Option<Heard> {
        let end = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n').map(|at| self.searched + at);
        let (line, used) = match end {
            Some(end) => (&self.bytes[..end], end + 1),
            None if is_end && !self.bytes.is_empty() => (&self.bytes[..], self.bytes.len()),
            None => {
                self.searched = self.bytes.len();
                return None;
            }
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let heard = match std::str::from_utf8(line) {
            Ok(line) if self.is_at_start => Heard::Line(line.strip_prefix('\u{feff}').unwrap_or(line).to_owned()),
            Ok(line) => Heard::Line(line.to_owned()),
            Err(_) => Heard::NotText,
        };
        (self.is_at_start, self.searched) = (false, 0);
        self.bytes.drain(..used);
        Some(heard)
    }
}

/// The lines of standard input.
pub(super) struct Lines {
    pieces: Pieces,
    cutter: Cutter,
    is_end: bool,
    /// What is shown where somebody types.
    prompt: Option<&'static str>,
}

impl Lines {
    pub(super) fn new(prompt: Option<&'static str>) -> Result<Self> {
        Ok(Self { pieces: Stream::Stdin.pieces()?, cutter: Cutter::new(), is_end: false, prompt })
    }

    /// The next one.
    ///
    /// # Errors
    /// Standard input that cannot be read, or an interrupt.
    pub(super) fn next(&mut self, interrupt: &Interrupt, printer: &mut Printer) -> Result<Heard> {
        if let Some(prompt) = self.prompt {
            printer.question(prompt);
        }
        loop {
            if let Some(heard) = self.cutter.next(self.is_end) {
                return Ok(heard);
            }
            if self.is_end {
                return Ok(Heard::End);
            }
            match self.pieces.next(interrupt)? {
                Some(piece) => self.cutter.push(&piece),
                None => self.is_end = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Heard> {
        let (mut cutter, mut heard) = (Cutter::new(), Vec::new());
        for piece in pieces {
            cutter.push(piece);
            heard.extend(std::iter::from_fn(|| cutter.next(false)));
        }
        heard.extend(std::iter::from_fn(|| cutter.next(true)));
        heard
    }

    fn line(text: &str) -> Heard {
        Heard::Line(text.to_owned())
    }

    #[test]
    fn lines_end_as_on_any_system() {
        assert_eq!(cut(&[b"a\nb\r\n\nc"]), ["a", "b", "", "c"].map(line));
        assert_eq!(cut(&[b"", b"a", b"b\n"]), [line("ab")]);
        assert_eq!(cut(&["\u{feff}a\n\u{feff}b".as_bytes()]), [line("a"), line("\u{feff}b")]);
        assert!(cut(&[b""]).is_empty());
    }

    #[test]
    fn a_line_that_is_no_text_stands_alone() {
        assert_eq!(cut(&[b"a\n\xff\nb\n"]), [line("a"), Heard::NotText, line("b")]);
    }

    proptest! {
        #[test]
        fn cuts_of_the_stream_do_not_show(text in "[a-c\u{e9}\n]{0,40}", size in 1usize..7) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let expected: Vec<Heard> = text.lines().map(line).collect();
            prop_assert_eq!(cut(&pieces), expected);
        }
    }
}
