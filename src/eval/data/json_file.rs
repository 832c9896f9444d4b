//! Annotations in JSON: an array of objects.

use std::path::Path;

use serde_json::Value;

use super::cell::Raw;
use super::error::DataError;

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Raw>, DataError> {
    let malformed = |row, message| DataError::Malformed { path: path.to_owned(), row, message };
    let rows: Value = serde_json::from_slice(bytes).map_err(|error| malformed(None, error.to_string()))?;
    let Value::Array(rows) = rows else { return Err(malformed(None, "expected an array of objects".to_owned())) };
    let object = |(row, value)| match value {
        Value::Object(columns) => Ok(columns),
        _ => Err(malformed(Some(row), "expected an object".to_owned())),
    };
    rows.into_iter().enumerate().map(object).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_arrays_of_objects_are_read() {
        assert_eq!(read(Path::new("f"), br#"[{"a": 1}, {}]"#).unwrap().len(), 2);
        for (text, said) in [
            (r#"{"a": 1}"#, "cannot read `f`: expected an array of objects"),
            (r#"[{}, 2]"#, "cannot read `f`, row 1: expected an object"),
        ] {
            assert_eq!(read(Path::new("f"), text.as_bytes()).unwrap_err().to_string(), said);
        }
        assert!(read(Path::new("f"), b"[{\"a\": NaN}]").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[\[\]{}",:a0e.\\-]{0,40}"#) {
            let _ = read(Path::new("f"), text.as_bytes());
        }
    }
}
