//! The parser of MLVU in autumn 2024, made for a prompt that ends with an open bracket.

use super::parsed::Parsed;

/// The character before the first `)`, or the whole output: compared to the right letter as it is.
pub(super) fn parse(output: &str) -> Parsed {
    let text = match output.split_once(')') {
        Some((before, _)) => before.chars().next_back().map(String::from).unwrap_or_default(),
        None => output.to_owned(),
    };
    Parsed::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_stands_before_the_bracket() {
        for (output, text) in
            [("A", "A"), ("A.", "A."), ("B) cat", "B"), ("(C) or (D)", "C"), (") A", ""), ("é)", "é"), ("", "")]
        {
            assert_eq!(parse(output), Parsed::Text(text.to_owned()), "{output}");
        }
    }
}
