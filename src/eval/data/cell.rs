//! Whether a row's values are what its columns hold.

use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{Column, Kind};
use super::error::DataError;

/// A row as its file has it.
pub(super) type Raw = Map<String, Value>;

/// What is wrong with a row.
#[derive(Debug, PartialEq)]
pub(super) enum Wrong {
    Missing(&'static str),
    Type { column: &'static str, expected: &'static str, found: &'static str },
}

impl Wrong {
    pub(super) fn at(self, path: &Path, row: usize) -> DataError {
        let path = path.to_owned();
        match self {
            Self::Missing(column) => DataError::NoColumn { path, row: Some(row), column: column.to_owned() },
            Self::Type { column, expected, found } => {
                DataError::Type { path, row, column: column.to_owned(), expected, found }
            }
        }
    }
}

pub(super) fn check(row: &Raw, columns: &[Column]) -> Result<(), Wrong> {
    columns.iter().try_for_each(|&Column { name, kind, optional }| match row.get(name) {
        None | Some(Value::Null) if optional => Ok(()),
        None => Err(Wrong::Missing(name)),
        Some(value) if holds(kind, value) => Ok(()),
        Some(value) => Err(Wrong::Type { column: name, expected: kind.expected(), found: found(value) }),
    })
}

fn holds(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Int => value.is_i64() || value.is_u64(),
        Kind::Float => value.is_number(),
        Kind::IntOrText => value.is_string() || value.is_i64() || value.is_u64(),
        Kind::Texts => value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string)),
        Kind::Tags => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Kind::Any => true,
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(list) if list.is_empty() => "an empty list",
        Value::Array(list) if list.iter().all(Value::is_string) => "a list of texts",
        Value::Array(_) => "a list that holds other than texts",
        Value::Object(_) => "an object",
    }
}

/// LongVideoBench's own file has a list where the hub's tables have five columns, of which unused ones say `N/A`.
pub(super) fn options_from_candidates(row: &mut Raw) -> Result<(), Wrong> {
    let (false, Some(candidates)) = (row.contains_key("option0"), row.get("candidates")) else { return Ok(()) };
    let wrong = |found| Wrong::Type { column: "candidates", expected: "a list of 1 to 5 texts", found };
    if !holds(Kind::Texts, candidates) {
        return Err(wrong(found(candidates)));
    }
    let mut options = candidates.as_array().cloned().unwrap_or_default();
    if options.len() > 5 {
        return Err(wrong("a longer list"));
    }
    options.resize(5, Value::from("N/A"));
    row.extend(options.into_iter().enumerate().map(|(index, option)| (format!("option{index}"), option)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: Value) -> Raw {
        let Value::Object(raw) = value else { panic!("an object") };
        raw
    }

    #[test]
    fn each_kind_takes_its_own_and_nothing_else() {
        let values = [json!("x"), json!(1), json!(1.5), json!(["x"]), json!([]), json!(["x", null]), json!(true)];
        for (kind, taken) in [
            (Kind::Text, vec![0]),
            (Kind::Int, vec![1]),
            (Kind::Float, vec![1, 2]),
            (Kind::IntOrText, vec![0, 1]),
            (Kind::Texts, vec![3]),
            (Kind::Tags, vec![3, 4]),
            (Kind::Any, vec![0, 1, 2, 3, 4, 5, 6]),
        ] {
            let held: Vec<_> = (0..values.len()).filter(|&index| holds(kind, &values[index])).collect();
            assert_eq!(held, taken, "{kind:?}");
        }
    }

    #[test]
    fn only_optional_columns_may_be_missing_or_null() {
        let columns = |optional| [Column { name: "a", kind: Kind::Int, optional }];
        for row in [json!({}), json!({ "a": null })] {
            assert_eq!(check(&raw(row.clone()), &columns(true)), Ok(()));
            assert!(check(&raw(row), &columns(false)).is_err());
        }
        let wrong = check(&raw(json!({ "a": "1" })), &columns(true)).unwrap_err();
        let said = wrong.at(Path::new("f.json"), 7).to_string();
        assert_eq!(said, "`f.json`, row 7: column `a` is text, expected a whole number");
        let said = Wrong::Missing("a").at(Path::new("f.json"), 7).to_string();
        assert_eq!(said, "`f.json`, row 7: no column `a`");
    }

    #[test]
    fn candidates_become_options() {
        let mut row = raw(json!({ "candidates": ["x", "y"] }));
        options_from_candidates(&mut row).unwrap();
        let options: Vec<_> = (0..5).map(|index| row[&format!("option{index}")].as_str().unwrap()).collect();
        assert_eq!(options, ["x", "y", "N/A", "N/A", "N/A"]);
        let mut both = raw(json!({ "candidates": ["x", "y"], "option0": "z" }));
        options_from_candidates(&mut both).unwrap();
        assert_eq!((both.len(), &both["option0"]), (2, &json!("z")));
        for wrong in [json!([]), json!(["1", "2", "3", "4", "5", "6"]), json!("x"), json!([1])] {
            assert!(options_from_candidates(&mut raw(json!({ "candidates": wrong }))).is_err());
        }
    }
}
