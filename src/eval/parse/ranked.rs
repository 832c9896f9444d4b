//! The parser that VideoMME and MLVU have today: every form in which a letter can stand has a rank.

use super::characters::is_letter;
use super::parsed::Parsed;
use crate::eval::python::strip;

const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// Signs stripped from both ends, each in one pass only.
const ENDS: [char; 8] = [',', '.', '!', '?', ';', ':', '\'', '"'];

/// Phrases after which the answer stands, in lower case.
const PHRASES: [&str; 27] = [
    "the answer is",
    "answer is",
    "the correct answer is",
    "correct answer is",
    "the best answer is",
    "best answer is",
    "the correct option is",
    "correct option is",
    "the best option is",
    "best option is",
    "the choice is",
    "choice is",
    "the correct choice is",
    "correct choice is",
    "i choose",
    "i select",
    "i pick",
    "my answer is",
    "my choice is",
    "옵션",
    "정답은",
    "답은",
    "답:",
    "答案是",
    "答案为",
    "选",
    "答えは",
];

/// How surely a letter in this form is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Anywhere,
    BeforeBlank,
    BeforeBracket,
    BeforeColon,
    BeforeFullStop,
    InBrackets,
    AfterPhrase,
    AtEnd,
    AtStart,
}

/// `A` to `D`, or nothing: of the surest form the last place, and at ties the first letter.
pub(super) fn parse(output: &str) -> Parsed {
    let bare = ENDS.into_iter().fold(output, |text, sign| text.trim_matches(sign));
    let text: Vec<char> = format!(" {bare} ").chars().collect();
    let mut found: Vec<(Form, usize, char)> = Vec::new();
    for (form, before, after) in [
        (Form::InBrackets, "(", ")"),
        (Form::BeforeFullStop, "", "."),
        (Form::BeforeColon, "", ":"),
        (Form::BeforeBracket, "", ")"),
        (Form::BeforeBlank, "", " "),
    ] {
        for letter in LETTERS {
            found.extend(last_place(&text, &format!("{before}{letter}{after}")).map(|place| (form, place, letter)));
        }
    }
    found.extend(after_phrases(&text));
    found.extend(at_ends(bare, text.len()));
    if found.is_empty() {
        let anywhere = |letter: char| Some((Form::Anywhere, text.iter().rposition(|&c| c == letter)?, letter));
        found.extend(LETTERS.into_iter().filter_map(anywhere));
    }
    let best = found.into_iter().reduce(|best, new| if (new.0, new.1) > (best.0, best.1) { new } else { best });
    best.map_or(Parsed::Nothing, |(_, _, letter)| Parsed::Letter(letter))
}

/// For each phrase, where it first stands, the first of each letter behind it. Places are those of the text in lower
/// case, which is longer where a capital has no single small letter.
fn after_phrases(text: &[char]) -> Vec<(Form, usize, char)> {
    let lower: Vec<char> = text.iter().collect::<String>().to_lowercase().chars().collect();
    let mut found = Vec::new();
    for phrase in PHRASES {
        let phrase: Vec<char> = phrase.chars().collect();
        let Some(place) = lower.windows(phrase.len()).position(|window| window == phrase) else { continue };
        let after = place + phrase.len();
        for letter in LETTERS {
            let rest = text.get(after..).unwrap_or_default();
            found.extend(rest.iter().position(|&c| c == letter).map(|at| (Form::AfterPhrase, after + at, letter)));
        }
    }
    found
}

/// A letter with which the text begins or ends, if no other letter stands beside it.
fn at_ends(bare: &str, len: usize) -> Vec<(Form, usize, char)> {
    let mut found = Vec::new();
    let mut chars = strip(bare).chars();
    if let Some(letter) = chars.next().filter(|letter| LETTERS.contains(letter))
        && !chars.next().is_some_and(is_letter)
    {
        found.push((Form::AtStart, 0, letter));
    }
    let mut chars = strip(bare).chars();
    if let Some(letter) = chars.next_back().filter(|letter| LETTERS.contains(letter))
        && !chars.next_back().is_some_and(is_letter)
    {
        found.push((Form::AtEnd, len - 1, letter));
    }
    found
}

fn last_place(text: &[char], pattern: &str) -> Option<usize> {
    let pattern: Vec<char> = pattern.chars().collect();
    text.windows(pattern.len()).rposition(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_form_wins_and_then_the_last_place() {
        for (output, letter) in [
            ("A, but the answer is B", 'A'),
            ("it is not (A) but (C) there", 'C'),
            ("The answer is option B, not option C.", 'C'),
            ("so I choose the one with D: yes", 'D'),
            ("B. x (A) y", 'B'),
            ("x B. y A: z", 'B'),
            ("Because", 'B'),
            ("答えは D です", 'D'),
            ("정답은 C입니다", 'C'),
            ("\"D\"", 'D'),
        ] {
            assert_eq!(parse(output), Parsed::Letter(letter), "{output}");
        }
        for output in ["", "e", "答えは", "..."] {
            assert_eq!(parse(output), Parsed::Nothing, "{output}");
        }
    }

    #[test]
    fn a_capital_without_a_single_small_letter_moves_the_place() {
        // `İ` has two characters in lower case, so that the search begins behind the letter.
        assert_eq!(parse("(A) x I the answer isB"), Parsed::Letter('B'));
        assert_eq!(parse("(A) x İ the answer isB"), Parsed::Letter('A'));
    }
}
