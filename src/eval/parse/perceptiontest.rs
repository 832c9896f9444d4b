//! The parser of PerceptionTest: the first lone capital.

use super::characters::first_lone;
use super::parsed::Parsed;

/// `A` to `D`, of which the data knows three.
pub(super) fn parse(output: &str) -> Parsed {
    first_lone(output, |letter| ('A'..='D').contains(&letter)).map_or(Parsed::Nothing, Parsed::Letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_small_letters_are_none() {
        for output in ["答案是B", "BB", "b", "A1", "_A", "", "E"] {
            assert_eq!(parse(output), Parsed::Nothing, "{output}");
        }
        for (output, letter) in [("B。", 'B'), ("(C) not A", 'C'), ("Not A but C", 'A'), ("it's\nD", 'D')] {
            assert_eq!(parse(output), Parsed::Letter(letter), "{output}");
        }
    }
}
