//! The parser that the harness took from MMMU, and its variant for EgoSchema.
//!
//! Letters are looked for as `(X)`, then as `X` before a blank, be it the end of a word, then as `X.`, then by the text
//! of the option. The original stops at the first of these that finds any and takes the last in the output; the variant
//! goes through the first three and takes the one whose last place is the first.

use super::parsed::Parsed;
use crate::eval::python::is_space;

/// Options are compared in outputs longer than this.
const FEW_WORDS: usize = 5;

/// The original: of several letters, the last.
pub(super) fn last(output: &str, options: &[&str]) -> Parsed {
    let text = padded(output);
    let (letters, before) =
        (letters(options), |pattern: &dyn Fn(char) -> String, letter: char| text.rfind(&pattern(letter)));
    let found = |pattern: &dyn Fn(char) -> String| -> Vec<char> {
        letters.iter().copied().filter(|&letter| text.contains(&pattern(letter))).collect()
    };
    let in_brackets = found(&bracketed);
    if !in_brackets.is_empty() {
        return chosen(in_brackets.into_iter().map(|letter| (letter, before(&bracketed, letter))), Last);
    }
    let spaced = [&(|letter| format!("{letter} ")) as &dyn Fn(char) -> String, &|letter| format!("{letter}.")]
        .into_iter()
        .map(found)
        .find(|found| !found.is_empty());
    match spaced {
        // What was found as the end of a word, or before a full stop, has no place as a word of its own.
        Some(found) => {
            chosen(found.into_iter().map(|letter| (letter, before(&|letter| format!(" {letter} "), letter))), Last)
        }
        None => by_option(&text, options, Last),
    }
}

/// EgoSchema's: of several, the first by last place.
pub(super) fn first(output: &str, options: &[&str]) -> Parsed {
    let text = padded(output);
    let letters = letters(options);
    let mut found = Vec::new();
    for pattern in
        [&bracketed as &dyn Fn(char) -> String, &|letter| format!("{letter} "), &|letter| format!("{letter}.")]
    {
        for &letter in &letters {
            found.extend(text.rfind(&pattern(letter)).map(|place| (letter, Some(place))));
        }
    }
    match found.is_empty() {
        true => by_option(&text, options, First),
        false => chosen(found.into_iter(), First),
    }
}

fn bracketed(letter: char) -> String {
    format!("({letter})")
}

fn letters(options: &[&str]) -> Vec<char> {
    ('A'..='Z').take(options.len()).collect()
}

/// Without punctuation at its ends, each sign in one pass only, and between blanks.
fn padded(output: &str) -> String {
    let bare = [',', '.', '!', '?', ';', ':', '\''].into_iter().fold(output, |text, sign| text.trim_matches(sign));
    format!(" {bare} ")
}

/// Options whose text stands in the output, without regard to case.
fn by_option(text: &str, options: &[&str], which: Which) -> Parsed {
    let lower = text.to_lowercase();
    let found = match text.split(is_space).filter(|word| !word.is_empty()).count() > FEW_WORDS {
        true => ('A'..='Z')
            .zip(options)
            .filter_map(|(letter, option)| Some((letter, Some(lower.rfind(&option.to_lowercase())?))))
            .collect(),
        false => Vec::new(),
    };
    match found.is_empty() {
        true => Parsed::Random(options.len()),
        false => chosen(found.into_iter(), which),
    }
}

/// Which of several is taken.
#[derive(Clone, Copy)]
enum Which {
    First,
    Last,
}
use Which::{First, Last};

/// The letter with the smallest or largest place, `None` before all; at ties the one that was found first.
fn chosen(found: impl Iterator<Item = (char, Option<usize>)>, which: Which) -> Parsed {
    let better = |new: Option<usize>, best: Option<usize>| match which {
        First => new < best,
        Last => new > best,
    };
    let best = found.reduce(|best, new| if better(new.1, best.1) { new } else { best });
    best.map_or(Parsed::Nothing, |(letter, _)| Parsed::Letter(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [&str; 5] = ["a cat", "a dog", "the red house", "-", "İ"];

    #[test]
    fn the_last_of_several_is_taken() {
        for (output, letter) in [
            ("(A) or (B), no (A)", 'A'),
            ("Not C but B", 'B'),
            // Neither stands alone, so that the first found is taken.
            ("DNA and MRNE x", 'A'),
            ("B. A mug", 'A'),
            ("A.B.", 'B'),
            ("we saw a dog and then the red House there", 'C'),
        ] {
            assert_eq!(last(output, &OPTIONS), Parsed::Letter(letter), "{output}");
        }
        assert_eq!(last("**B**", &OPTIONS), Parsed::Random(5));
        assert_eq!(last("b", &OPTIONS[..2]), Parsed::Random(2));
    }

    #[test]
    fn punctuation_is_stripped_in_one_pass() {
        assert_eq!(padded("'A.'"), " A. ");
        assert_eq!(padded("A.,"), " A ");
        assert_eq!(padded("A,."), " A, ");
    }

    #[test]
    fn the_variant_takes_the_first() {
        for (output, letter) in [("Not E but D", 'E'), ("(D) or (E)", 'D'), ("D: C bakes bread", 'C'), ("C D C", 'D')] {
            assert_eq!(first(output, &OPTIONS), Parsed::Letter(letter), "{output}");
        }
        assert_eq!(first("B)", &OPTIONS), Parsed::Random(5));
    }
}
