//! Contexts of the questions with options.

use crate::eval::python::strip;
use crate::eval::{BadColumn, Harness, Row};

/// Which of the harness's prompts is meant; only VideoMME tells models apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prompt {
    /// That of the model `llava_vid`.
    #[default]
    LlavaVid,
    /// That of models which the harness does not name.
    AnyModel,
}

const LETTER_DIRECTLY: &str = "Answer with the option's letter from the given choices directly.";

/// The options begin with their letters in the data.
pub(super) fn egoschema(row: &Row) -> Result<String, BadColumn> {
    let (question, options) = (row.text("question")?, row.texts("option")?.join("\n"));
    Ok(format!("{question}\n{options}\n{LETTER_DIRECTLY}"))
}

/// The question holds its options. The prompt lost its two superfluous newlines in April 2025.
pub(super) fn mlvu(harness: Harness, row: &Row) -> Result<String, BadColumn> {
    let question = row.text("question")?;
    Ok(match harness {
        Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => {
            format!("\n{question}\nOnly give the best option.\n\nBest option: (")
        }
        Harness::Head => format!("{question}\nOnly give the best option.\nBest option: ("),
    })
}

/// The authors' tree had another prompt than the harness has since October 2024.
pub(super) fn mvbench(harness: Harness, row: &Row) -> Result<String, BadColumn> {
    let (question, candidates) = (row.text("question")?, row.texts("candidates")?);
    let options = |line: fn(char, &str) -> String| -> Result<String, BadColumn> {
        let letter = |index| letter(index).ok_or_else(|| row.bad("candidates", "at most 26 texts"));
        candidates.iter().enumerate().map(|(index, option)| Ok(line(letter(index)?, option))).collect()
    };
    Ok(match harness {
        Harness::September2024 => {
            let options = options(|letter, option| format!("{letter}. {option}\n"))?;
            format!("{question}\n{options}{LETTER_DIRECTLY}")
        }
        Harness::October2024 | Harness::LateOctober2024 | Harness::Head => {
            let options = options(|letter, option| format!("({letter}) {option}\n"))?;
            format!("Question:{question}\nOption:\n{options}Only give the best option.\n")
        }
    })
}

/// Nothing tells the model how to answer.
pub(super) fn nextqa(row: &Row) -> Result<String, BadColumn> {
    let mut text = strip(row.text("question")?).to_owned();
    for (letter, column) in ('A'..).zip(["a0", "a1", "a2", "a3", "a4"]) {
        text += &format!("\n{letter}. {}", strip(row.text(column)?));
    }
    Ok(text)
}

/// Every option after the second is C to the harness.
pub(super) fn perceptiontest(row: &Row) -> Result<String, BadColumn> {
    let letters = ['A', 'B'].into_iter().chain(std::iter::repeat('C'));
    let options = letters.zip(row.texts("options")?).map(|(letter, option)| format!("\n{letter}. {option}"));
    Ok(format!("{}{}\n{LETTER_DIRECTLY}", row.text("question")?, options.collect::<String>()))
}

/// Options that say `N/A` are not there, and the letters of those after them move up.
pub(super) fn longvideobench(row: &Row) -> Result<String, BadColumn> {
    let mut options = Vec::new();
    for column in ["option0", "option1", "option2", "option3", "option4"] {
        options.extend(Some(row.text(column)?).filter(|&option| option != "N/A"));
    }
    let lines: Vec<_> = ('A'..).zip(options).map(|(letter, option)| format!("{letter}. {option}")).collect();
    Ok(format!("{}\n{}\n{LETTER_DIRECTLY}\n", row.text("question")?, lines.join("\n")))
}

/// It speaks of subtitles although none are given; the options begin with their letters in the data.
pub(super) fn videomme(prompt: Prompt, row: &Row) -> Result<String, BadColumn> {
    let (question, options) = (row.text("question")?, row.texts("options")?.join("\n"));
    let last = match prompt {
        Prompt::LlavaVid => "The best answer is:".to_owned(),
        Prompt::AnyModel => format!("\n{LETTER_DIRECTLY}"),
    };
    Ok(format!(
        "Select the best answer to the following multiple-choice question based on the video and the subtitles. \
         Respond with only the letter (A, B, C, or D) of the correct option.\n{question}\n{options}\n{last}"
    ))
}

fn letter(index: usize) -> Option<char> {
    ('A'..='Z').nth(index)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(columns: Value) -> Row {
        let Value::Object(columns) = columns else { panic!("an object") };
        Row { row: 0, part: None, columns }
    }

    #[test]
    fn odd_rows_go_as_the_harness_has_them() {
        let four = row(json!({ "question": "Q", "options": ["1", "2", "3", "4"] }));
        assert!(perceptiontest(&four).unwrap().starts_with("Q\nA. 1\nB. 2\nC. 3\nC. 4\nAnswer"));
        let columns = json!({ "question": "Q", "option0": "N/A", "option1": "x", "option2": "N/A", "option3": "n/a",
            "option4": "N/A " });
        assert!(longvideobench(&row(columns)).unwrap().starts_with("Q\nA. x\nB. n/a\nC. N/A \nAnswer"));
        let columns = json!({ "question": "\u{1c} Q\u{85}", "a0": "\u{3000}x", "a1": "", "a2": "\u{200b}", "a3": "y\n",
            "a4": " z z " });
        assert_eq!(nextqa(&row(columns)).unwrap(), "Q\nA. x\nB. \nC. \u{200b}\nD. y\nE. z z");
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(nextqa(&row(json!({ "question": "Q" }))).unwrap_err().column, "a0");
        let null = row(json!({ "question": "Q", "option0": null }));
        assert_eq!(longvideobench(&null).unwrap_err().column, "option0");
        let many = row(json!({ "question": "Q", "candidates": vec!["x"; 27] }));
        assert_eq!(mvbench(Harness::Head, &many).unwrap_err().expected, "at most 26 texts");
    }
}
