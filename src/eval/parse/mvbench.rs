//! The parser of MVBench: a letter with a full stop, or the first lone letter of what cleaning leaves.

use super::characters::{first_lone, is_digit};
use super::parsed::Parsed;
use crate::eval::python::{is_space, strip};

/// Signs that are deleted or made blanks, in this order.
const SIGNS: [char; 21] =
    [';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!'];

/// The harness hands a flag over where the largest number of replacements belongs.
const MAX_FULL_STOPS: usize = 32;

/// `A` to `E`, small ones too, or nothing.
pub(super) fn parse(output: &str) -> Parsed {
    let letter =
        dotted(output).or_else(|| first_lone(&cleaned(output), |letter| matches!(letter, 'a'..='e' | 'A'..='E')));
    letter.map_or(Parsed::Nothing, |letter| Parsed::Letter(letter.to_ascii_uppercase()))
}

/// The letter of an output like `B. A cat`: what follows the blanks has one line.
fn dotted(output: &str) -> Option<char> {
    let mut rest = output.chars();
    let letter = rest.next().filter(|letter| matches!(letter, 'a'..='e' | 'A'..='E'))?;
    let text = rest.as_str().strip_prefix('.')?;
    let is_one_line = match text.rsplit_once('\n') {
        Some((blanks, line)) => blanks.chars().all(is_space) && !line.is_empty(),
        None => !text.is_empty(),
    };
    is_one_line.then_some(letter)
}

fn cleaned(output: &str) -> String {
    let text = output.replace(['\n', '\t'], " ");
    let text = without_signs(strip(&text));
    let bare = ['\'', '"', ')', '('].into_iter().fold(text.as_str(), |text, sign| text.trim_matches(sign));
    strip(bare).to_lowercase()
}

/// Signs are judged by the text as it came, whatever was done to it meanwhile.
fn without_signs(text: &str) -> String {
    let has_thousands = has_thousands(text);
    let replace = |done: String, sign: char| {
        let is_beside_blank = text.contains(&format!("{sign} ")) || text.contains(&format!(" {sign}"));
        done.replace(sign, if is_beside_blank || has_thousands { "" } else { " " })
    };
    without_full_stops(&SIGNS.into_iter().fold(text.to_owned(), replace))
}

/// Whether a comma stands between digits.
fn has_thousands(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars.windows(3).any(|three| is_digit(three[0]) && three[1] == ',' && is_digit(three[2]))
}

/// Deletes full stops that no digit follows.
fn without_full_stops(text: &str) -> String {
    let (mut kept, mut deleted) = (String::with_capacity(text.len()), 0);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_end = c == '.' && !rest.clone().next().is_some_and(is_digit);
        match is_end && deleted < MAX_FULL_STOPS {
            true => deleted += 1,
            false => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_letters_count_wherever_they_stand() {
        for (output, letter) in [
            ("a man", 'A'),
            ("I'd say B", 'D'),
            ("<b>A</b>", 'B'),
            ("b.\n\n cat", 'B'),
            ("(C)", 'C'),
            ("答案是 E。", 'E'),
            ("c", 'C'),
            // Beside a blank the slash goes, so that the letters become a word.
            ("B or/ A", 'B'),
            // The comma between digits makes all signs go.
            ("1,000 <B> x", 'B'),
        ] {
            assert_eq!(parse(output), Parsed::Letter(letter), "{output}");
        }
        for output in ["", "Cat", "1,0 x-B-x", "x - x-B-x", "F"] {
            assert_eq!(parse(output), Parsed::Nothing, "{output}");
        }
    }

    #[test]
    fn a_second_line_spoils_the_dotted_form_only() {
        assert_eq!(dotted("D. x\ny"), None);
        assert_eq!(dotted("D."), None);
        assert_eq!(dotted("D.x"), Some('D'));
        assert_eq!(dotted("É. x"), None);
    }

    #[test]
    fn only_so_many_full_stops_go() {
        let text = format!("{}1.5", ".".repeat(40));
        assert_eq!(without_full_stops(&text), format!("{}1.5", ".".repeat(8)));
    }
}
