//! Facts as JSON text from which every number comes back exactly.
//!
//! serde_json reads decimal fractions to within one unit in their last place, which would show in a prompt. Here they
//! are texts, `=29.97`, that Rust's own exact parser reads; a text that begins with `=` gets a second one.

use serde_json::{Number, Value};

const MARK: char = '=';

/// The text of `facts`.
pub(super) fn to_text(facts: &Value) -> String {
    let marked = map(facts, &|value| match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => Some(Value::String(format!("{MARK}{float:?}"))),
            None => Some(value.clone()),
        },
        Value::String(text) if text.starts_with(MARK) => Some(Value::String(format!("{MARK}{text}"))),
        other => Some(other.clone()),
    });
    marked.unwrap_or_default().to_string()
}

/// The facts that [`to_text`] made a text of.
pub(super) fn from_text(text: &str) -> Option<Value> {
    let marked = serde_json::from_str(text).ok()?;
    map(&marked, &|value| match value {
        Value::String(text) => match text.strip_prefix(MARK) {
            Some(rest) if rest.starts_with(MARK) => Some(Value::String(rest.to_owned())),
            Some(rest) => Number::from_f64(rest.parse().ok()?).map(Value::Number),
            None => Some(value.clone()),
        },
        other => Some(other.clone()),
    })
}

/// A copy with every value that holds no others replaced.
fn map(value: &Value, leaf: &impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    match value {
        Value::Array(values) => values.iter().map(|value| map(value, leaf)).collect(),
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, value)| Some((key.clone(), map(value, leaf)?)));
            pairs.collect::<Option<_>>().map(Value::Object)
        }
        other => leaf(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_look_like_numbers_stay_texts() {
        let facts = json!({ "=": ["=", "==", "=1.5", "==1.5", "", "x=1"], "numbers": [-0.0, 1.5e300, 5e-324, 1, -1] });
        assert_eq!(from_text(&to_text(&facts)), Some(facts));
        for wrong in ["", "[", "[\"=\"]", "[\"=x\"]", "[\"=NaN\"]", "[\"=inf\"]"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_float_comes_back_exactly(bits: u64, whole: u64, text in ".{0,6}") {
            let float = f64::from_bits(bits);
            let facts = json!([float, { "whole": whole, "text": text }]);
            let read = from_text(&to_text(&facts)).expect("facts");
            prop_assert_eq!(&read, &facts);
            if float.is_finite() {
                prop_assert_eq!(read[0].as_f64().map(f64::to_bits), Some(bits));
            }
        }
    }
}
