//! Characters as Python's regular expressions and strings class them: by general category, other than Rust's methods.

use std::sync::LazyLock;

use regex::Regex;

fn compiled(expression: &str) -> Regex {
    Regex::new(expression).unwrap_or_else(|error| unreachable!("`{expression}` is an expression: {error}"))
}

static WORD: LazyLock<Regex> = LazyLock::new(|| compiled(r"^[\p{L}\p{N}_]$"));
static LETTER: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\p{L}$"));
static DIGIT: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\p{Nd}$"));

fn is(class: &Regex, c: char) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

/// `\w`: letters and numbers of all kinds, but no combining mark.
pub(super) fn is_word(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '_',
        false => is(&WORD, c),
    }
}

/// `str.isalpha`.
pub(super) fn is_letter(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphabetic(),
        false => is(&LETTER, c),
    }
}

/// `\d`.
pub(crate) fn is_digit(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_digit(),
        false => is(&DIGIT, c),
    }
}

/// The first character that `wanted` takes and that no word character stands beside.
pub(super) fn first_lone(text: &str, wanted: impl Fn(char) -> bool) -> Option<char> {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_lone = !before.is_some_and(is_word) && !rest.clone().next().is_some_and(is_word);
        if is_lone && wanted(c) {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truths from CPython 3.11.
    #[test]
    fn classes_are_pythons() {
        let word = |c| (is_word(c), is_letter(c), is_digit(c));
        for (c, expected) in [
            ('_', (true, false, false)),
            ('é', (true, true, false)),
            ('選', (true, true, false)),
            ('\u{301}', (false, false, false)),
            ('Ⅷ', (true, false, false)),
            ('²', (true, false, false)),
            ('٣', (true, false, true)),
            ('Ⓐ', (false, false, false)),
            ('।', (false, false, false)),
            ('\u{200d}', (false, false, false)),
            ('7', (true, false, true)),
        ] {
            assert_eq!(word(c), expected, "{c:?}");
        }
    }

    #[test]
    fn lone_letters_have_no_word_beside_them() {
        let first = |text| first_lone(text, |c| c.is_ascii_uppercase());
        assert_eq!(first("AB _C D2 é-E"), Some('E'));
        assert_eq!(first("答案是B"), None);
        assert_eq!(first("A\u{301}"), Some('A'));
        assert_eq!(first(""), None);
    }
}
