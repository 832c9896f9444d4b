//! Annotations in CSV: a header, and cells that are text until their columns say otherwise.

use std::path::Path;

use serde_json::Value;

use super::cell::Raw;
use super::columns::{Column, Kind};
use super::error::DataError;

pub(super) fn read(path: &Path, bytes: &[u8], columns: &[Column]) -> Result<Vec<Raw>, DataError> {
    let malformed = |row, message| DataError::Malformed { path: path.to_owned(), row, message };
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let header = reader.headers().map_err(|error| malformed(None, error.to_string()))?.clone();
    let names: Vec<&str> = header.iter().collect();
    if let Some(twice) = names.iter().enumerate().find(|(place, name)| names[..*place].contains(*name)) {
        return Err(malformed(None, format!("column `{}` is there twice", twice.1)));
    }
    if let Some(missing) = columns.iter().find(|column| !column.optional && !names.contains(&column.name)) {
        return Err(DataError::NoColumn { path: path.to_owned(), row: None, column: missing.name.to_owned() });
    }
    let mut rows = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| malformed(Some(row), error.to_string()))?;
        let cell = |(&name, text): (&&str, &str)| {
            let kind = columns.iter().find(|column| column.name == name).map_or(Kind::Text, |column| column.kind);
            (name.to_owned(), value(kind, text))
        };
        rows.push(names.iter().zip(record.iter()).map(cell).collect::<Raw>());
    }
    Ok(rows)
}

/// A number where the column holds numbers and the cell is one; text otherwise, which the check of types then refuses.
fn value(kind: Kind, text: &str) -> Value {
    let as_text = || Value::from(text);
    match kind {
        Kind::Int | Kind::IntOrText => whole(text).map_or_else(as_text, Value::from),
        Kind::Float => whole(text).map(Value::from).or_else(|| finite(text).map(Value::from)).unwrap_or_else(as_text),
        Kind::Text | Kind::Texts | Kind::Tags | Kind::Any => as_text(),
    }
}

/// Written as a number is: `007` and `+7` are names.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column { name: "video", kind: Kind::IntOrText, optional: false },
        Column { name: "answer", kind: Kind::Int, optional: false },
        Column { name: "secs", kind: Kind::Float, optional: true },
        Column { name: "a0", kind: Kind::Text, optional: false },
    ];

    fn rows(text: &str) -> Result<Vec<Raw>, String> {
        read(Path::new("f.csv"), text.as_bytes(), COLUMNS).map_err(|error| error.to_string())
    }

    #[test]
    fn cells_are_what_their_columns_hold() {
        let text = "\u{feff}video,answer,secs,a0,more\n0071,2,1.5,\"a, \"\"b\"\"\nc\",x\n40,x,3,7,\n";
        let expected = [
            json!({ "video": "0071", "answer": 2, "secs": 1.5, "a0": "a, \"b\"\nc", "more": "x" }),
            json!({ "video": 40, "answer": "x", "secs": 3, "a0": "7", "more": "" }),
        ];
        let read = rows(text).unwrap().into_iter().map(Value::Object).collect::<Vec<_>>();
        assert_eq!(read, expected);
    }

    #[test]
    fn odd_files_are_refused() {
        assert_eq!(rows("video,a0\n1,2\n").unwrap_err(), "`f.csv`: no column `answer`");
        assert!(rows("video,answer,a0,a0\n").unwrap_err().ends_with("column `a0` is there twice"));
        assert!(rows("video,answer,a0\n1,2,3\n1,2\n").unwrap_err().starts_with("cannot read `f.csv`, row 1: "));
        assert!(read(Path::new("f"), b"video,answer,a0\n1,2,\xff\n", COLUMNS).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(video,answer,a0\n)?[a0,\"\r\n-]{0,40}") {
            let _ = rows(&text);
        }
    }
}
