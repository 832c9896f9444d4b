//! The parser of VideoMME: the first capital of an option anywhere, after some phrases are cut out.

use super::parsed::Parsed;

/// Two commas are missing in the harness, so that four phrases became two that nobody says.
const PHRASES: [&str; 6] = [
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",
    "Best answer:Best option:",
];

/// As they stand in the tree of LongVideoBench, with the commas.
const PHRASES_OF_LONGVIDEOBENCH: [&str; 8] = [
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:",
    "Best option:",
];

/// `A` to `D`, or nothing. MLVU had it too, from 28 October 2024 on.
pub(super) fn videomme(output: &str) -> Parsed {
    first(output, &PHRASES, 'D').map_or(Parsed::Nothing, Parsed::Letter)
}

/// `A` to `E`, however many options there are, or a draw among those.
pub(super) fn longvideobench(output: &str, options: usize) -> Parsed {
    first(output, &PHRASES_OF_LONGVIDEOBENCH, 'E').map_or(Parsed::Random(options), Parsed::Letter)
}

fn first(output: &str, phrases: &[&str], last: char) -> Option<char> {
    let cut = phrases.iter().fold(output.to_owned(), |text, phrase| text.replace(phrase, ""));
    cut.chars().find(|letter| ('A'..=last).contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_cut_out_as_far_as_the_harness_knows_them() {
        for (output, letter, with_commas) in [
            ("The best answer is C", 'C', 'C'),
            ("Best option: C", 'B', 'C'),
            ("Best answer:Best option:C", 'C', 'C'),
            ("Answer: C", 'A', 'A'),
            ("Because", 'B', 'B'),
            // What is left after one cut may hold the next phrase.
            ("The The answeranswer is D", 'D', 'D'),
        ] {
            assert_eq!(videomme(output), Parsed::Letter(letter), "{output}");
            assert_eq!(longvideobench(output, 4), Parsed::Letter(with_commas), "{output}");
        }
        assert_eq!(videomme("E"), Parsed::Nothing);
        assert_eq!(longvideobench("E", 2), Parsed::Letter('E'));
        assert_eq!(longvideobench("f", 2), Parsed::Random(2));
    }
}
