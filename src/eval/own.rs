//! People's own questions: lines of JSON, each a video with a question, and options and the right answer where there
//! are any.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::parse::{self, Parsed};
use super::python::strip;
use super::score::{Group, Scored};
use super::{BadColumn, Row};

/// The instruction after options, in the words that most benchmarks have.
const INSTRUCTION: &str = "Answer with the option's letter from the given choices directly.";
/// What a line may hold.
const KEYS: [&str; 7] = ["video", "question", "options", "answer", "category", "start", "end"];

/// Questions that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The file.
    #[error("cannot read the questions from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no question.
    #[error("`{}`, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// Not one line.
    #[error("`{}` holds no questions", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the questions of a file, one a line. Empty lines are none, and do not count as rows.
///
/// # Errors
/// A file that cannot be read, or a line that is no question.
pub fn read(path: &Path) -> Result<Vec<Row>, OwnError> {
    let text = std::fs::read_to_string(path).map_err(|source| OwnError::Read { path: path.to_owned(), source })?;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |why: String| OwnError::Line { path: path.to_owned(), line: index + 1, why };
        let columns: Map<String, Value> = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        if let Some(key) = columns.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(bad(format!("unknown key `{key}`: expected some of {}", KEYS.join(", "))));
        }
        let row = Row { row: rows.len(), part: None, columns };
        check(&row).map_err(|error| bad(format!("`{}` is not {}", error.column, error.expected)))?;
        rows.push(row);
    }
    match rows.is_empty() {
        true => Err(OwnError::Empty { path: path.to_owned() }),
        false => Ok(rows),
    }
}

fn check(row: &Row) -> Result<(), BadColumn> {
    for column in ["video", "question"] {
        if row.text(column)?.trim().is_empty() {
            return Err(row.bad(column, "text"));
        }
    }
    if let Some(options) = options(row)? {
        let fits = (2..=letters().count()).contains(&options.len());
        fits.then_some(()).ok_or_else(|| row.bad("options", "a list of 2 to 26 texts"))?;
    }
    gold(row)?;
    category(row)?;
    let (start, end) = (moment(row, "start")?.unwrap_or(0.0), moment(row, "end")?.unwrap_or(f64::INFINITY));
    (start < end).then_some(()).ok_or_else(|| row.bad("end", "after `start`"))
}

/// Letters for options.
fn letters() -> std::ops::RangeInclusive<char> {
    'A'..='Z'
}

fn is_there(row: &Row, column: &str) -> bool {
    row.columns.get(column).is_some_and(|value| !value.is_null())
}

/// The options; none of an open question.
pub(super) fn options(row: &Row) -> Result<Option<Vec<&str>>, BadColumn> {
    is_there(row, "options").then(|| row.texts("options")).transpose()
}

/// From or to which second of its video a question is about.
pub(super) fn moment(row: &Row, column: &str) -> Result<Option<f64>, BadColumn> {
    let number = is_there(row, column).then(|| row.number(column)).transpose()?;
    match number.is_none_or(|secs| secs >= 0.0) {
        true => Ok(number),
        false => Err(row.bad(column, "a number of seconds")),
    }
}

/// Its category, if it has one.
pub(super) fn groups(row: &Row) -> Vec<Group> {
    category(row).ok().flatten().map(|name| Group::new("category", name)).into_iter().collect()
}

fn category(row: &Row) -> Result<Option<&str>, BadColumn> {
    is_there(row, "category").then(|| row.text("category")).transpose()
}

/// What is asked: the question, and its options by letters with an instruction.
pub(super) fn context(row: &Row) -> Result<String, BadColumn> {
    let mut text = row.text("question")?.to_owned();
    if let Some(options) = options(row)? {
        for (letter, option) in letters().zip(options) {
            text += &format!("\n{letter}. {option}");
        }
        text += &format!("\n{INSTRUCTION}");
    }
    Ok(text)
}

/// The right answer: of options its letter, which a line has as the option's text, as its letter, or as its place
/// counted from 0; else a text.
fn gold(row: &Row) -> Result<Option<String>, BadColumn> {
    let Some(answer) = row.columns.get("answer").filter(|answer| !answer.is_null()) else { return Ok(None) };
    let Some(options) = options(row)? else {
        return answer.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| row.bad("answer", "text"));
    };
    let place = match answer {
        Value::Number(place) => place.as_u64().and_then(|place| usize::try_from(place).ok()),
        Value::String(text) => {
            let place = options.iter().position(|option| option == text);
            place.or_else(|| letters().position(|letter| letter.to_string() == *text))
        }
        _ => None,
    };
    let letter = place.filter(|&place| place < options.len()).and_then(|place| letters().nth(place));
    letter.map(|letter| Some(letter.into())).ok_or_else(|| row.bad("answer", "one of the options, or its letter"))
}

/// Parses and scores an output. A letter is read as the harness does for NExT-QA, and never drawn; the answer to an
/// open question is right where it is the same text but for case, white space and a full stop at its end.
pub(super) fn score(row: &Row, output: &str) -> Result<Scored, BadColumn> {
    let output = strip(output);
    let gold = gold(row)?;
    let parsed = match options(row)? {
        None => Parsed::Text(output.to_owned()),
        Some(options) => match parse::letter(output, &options) {
            Parsed::Random(_) => Parsed::Nothing,
            found => found,
        },
    };
    let is_right = |gold: &String| match &parsed {
        Parsed::Letter(letter) => letter.to_string() == *gold,
        Parsed::Text(text) => plain(text) == plain(gold),
        Parsed::Nothing | Parsed::Random(_) => false,
    };
    Ok(Scored {
        row: row.row,
        part: None,
        video: row.text("video")?.to_owned(),
        is_correct: gold.as_ref().map(is_right),
        parsed,
        drawn: None,
        gold,
        is_counted: true,
        groups: groups(row),
        record: Map::new(),
    })
}

fn plain(text: &str) -> String {
    let text = strip(text);
    strip(text.strip_suffix('.').unwrap_or(text)).to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(columns: Value) -> Row {
        Row { row: 0, part: None, columns: serde_json::from_value(columns).unwrap() }
    }

    fn choice(answer: Value) -> Row {
        row(json!({ "video": "a.mp4", "question": "Which?", "options": ["red", "blue", "A"], "answer": answer }))
    }

    #[test]
    fn options_stand_by_their_letters() {
        let text = context(&choice(json!("red"))).unwrap();
        assert_eq!(text, format!("Which?\nA. red\nB. blue\nC. A\n{INSTRUCTION}"));
        assert_eq!(context(&row(json!({ "question": "Why?" }))).unwrap(), "Why?");
    }

    #[test]
    fn an_answer_is_an_option_a_letter_or_a_place() {
        for (answer, letter) in [(json!("blue"), "B"), (json!("B"), "B"), (json!(1), "B"), (json!("A"), "C")] {
            assert_eq!(gold(&choice(answer)), Ok(Some(letter.to_owned())));
        }
        for wrong in [json!("green"), json!("D"), json!(3), json!(-1), json!(["red"])] {
            assert!(gold(&choice(wrong)).is_err());
        }
        assert_eq!(gold(&choice(Value::Null)), Ok(None));
    }

    #[test]
    fn letters_are_parsed_and_nothing_is_drawn() {
        let scored = |output| score(&choice(json!("blue")), output).unwrap();
        assert_eq!((scored("B").is_correct, scored("(A) red").is_correct), (Some(true), Some(false)));
        let nothing = scored("green");
        assert_eq!((nothing.parsed, nothing.drawn, nothing.is_correct), (Parsed::Nothing, None, Some(false)));
        let open = |answer| score(&row(json!({ "video": "v", "question": "q", "answer": "A Cat." })), answer).unwrap();
        assert_eq!((open(" a cat").is_correct, open("a cat sits").is_correct), (Some(true), Some(false)));
        let unknown = score(&row(json!({ "video": "v", "question": "q", "category": "x" })), "yes").unwrap();
        assert_eq!((unknown.is_correct, unknown.groups), (None, vec![Group::new("category", "x")]));
    }

    #[test]
    fn lines_that_are_no_questions_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = dir.path().join("items.jsonl");
            std::fs::write(&path, text).unwrap();
            super::read(&path)
        };
        let good = "{\"video\": \"a.mp4\", \"question\": \"q\"}\n";
        let rows = read(&format!("{good}\n{good}")).unwrap();
        assert_eq!(rows.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 1]);
        for (line, expected) in [
            (r#"{"video": "a.mp4"}"#, "line 3: `question` is not text"),
            (r#"{"video": "a.mp4", "question": "q", "colour": 1}"#, "unknown key `colour`"),
            (r#"{"video": "a.mp4", "question": "q", "options": ["x"]}"#, "`options` is not a list of 2 to 26 texts"),
            (r#"{"video": "a.mp4", "question": "q", "start": 5, "end": 4}"#, "`end` is not after `start`"),
            (r#"{"video": "a.mp4", "question": "q", "options": ["x", "y"], "answer": "z"}"#, "`answer` is not one of"),
            ("x", "expected value"),
        ] {
            let error = read(&format!("{good}\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(read("\n"), Err(OwnError::Empty { .. })));
    }
}
