//! The characters of a literal that are still to be read.

/// What is still to be read.
pub(super) struct Reader<'a> {
    pub(super) chars: &'a [char],
    pub(super) place: usize,
    /// Open brackets: within them, lines may end.
    pub(super) depth: usize,
}

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.place).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.place + ahead).copied()
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.place += usize::from(is_there);
        is_there
    }

    /// Skips blanks, comments, continued lines, and within brackets the ends of lines.
    pub(super) fn skip(&mut self) {
        loop {
            match (self.peek(), self.peek_at(1)) {
                (Some(' ' | '\t' | '\u{c}'), _) => self.place += 1,
                (Some('\n' | '\r'), _) if self.depth > 0 => self.place += 1,
                (Some('\\'), Some('\n')) => self.place += 2,
                (Some('#'), _) => {
                    while !matches!(self.peek(), Some('\n' | '\r') | None) {
                        self.place += 1;
                    }
                }
                _ => return,
            }
        }
    }
}
