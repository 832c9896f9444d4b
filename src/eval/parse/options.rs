//! The texts of a row's options, as the parsers that compare with them have them.

use crate::eval::python::strip;
use crate::eval::{BadColumn, Row};

/// Five, with their letters before them.
pub(super) fn egoschema(row: &Row) -> Result<Vec<&str>, BadColumn> {
    let options = row.texts("option")?;
    let five = options.get(..5).ok_or_else(|| row.bad("option", "a list of five texts"))?;
    Ok(five.iter().map(|option| strip(option)).collect())
}

/// Five, each in its column.
pub(super) fn nextqa(row: &Row) -> Result<Vec<&str>, BadColumn> {
    ["a0", "a1", "a2", "a3", "a4"].iter().map(|column| row.text(column).map(strip)).collect()
}

/// Those before the first that is not there; a file of the publisher has them as one list.
pub(super) fn longvideobench(row: &Row) -> Result<Vec<&str>, BadColumn> {
    if !row.columns.contains_key("option0") && row.columns.contains_key("candidates") {
        let options = row.texts("candidates")?;
        return match (1..=5).contains(&options.len()) {
            true => Ok(options),
            false => Err(row.bad("candidates", "a list of one to five texts")),
        };
    }
    let mut options = Vec::new();
    for column in ["option0", "option1", "option2", "option3", "option4"] {
        match row.text(column)? {
            "N/A" => break,
            option => options.push(option),
        }
    }
    match options.is_empty() {
        true => Err(row.bad("option0", "an option")),
        false => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn row(columns: Value) -> Row {
        let columns: Map<String, Value> = serde_json::from_value(columns).unwrap();
        Row { row: 4, part: None, columns }
    }

    #[test]
    fn options_end_where_one_is_not_there() {
        let columns = json!({
            "option0": "a", "option1": "N/A", "option2": "c", "option3": "N/A", "option4": "N/A", "candidates": ["x"],
        });
        assert_eq!(longvideobench(&row(columns)), Ok(vec!["a"]));
        assert_eq!(longvideobench(&row(json!({ "candidates": ["a", " b"] }))), Ok(vec!["a", " b"]));
        let six = row(json!({ "candidates": ["a", "b", "c", "d", "e", "f"] }));
        assert_eq!(
            longvideobench(&six).unwrap_err().to_string(),
            "row 4: column `candidates` is not a list of one to five texts"
        );
        assert!(longvideobench(&row(json!({ "option0": "N/A" }))).is_err());
    }

    #[test]
    fn four_options_are_not_five() {
        assert!(egoschema(&row(json!({ "option": ["A. a", "B. b", "C. c", "D. d"] }))).is_err());
        let five = row(json!({ "a0": " a ", "a1": "b", "a2": "c", "a3": "d", "a4": "\u{1c}e" }));
        assert_eq!(nextqa(&five), Ok(vec!["a", "b", "c", "d", "e"]));
    }
}
