//! JSON and numbers as Python writes them: `json.dump`'s separators and escapes, `repr` of floats and texts.

use std::fmt::Write as _;

use serde_json::Value;

/// `json.dumps(value)`, with `indent` if it is given.
pub fn dumps(value: &Value, indent: Option<usize>) -> String {
    let mut text = String::new();
    write_value(&mut text, value, indent, 0);
    text
}

fn write_value(text: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(is) => text.push_str(if *is { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&float_repr(float)),
            None => text.push_str(&number.to_string()),
        },
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            let write = |text: &mut String, item: &Value| write_value(text, item, indent, depth + 1);
            write_items(text, ('[', ']'), items.iter(), indent, depth, write);
        }
        Value::Object(members) => {
            let write = |text: &mut String, (key, value): (&String, &Value)| {
                write_string(text, key);
                text.push_str(": ");
                write_value(text, value, indent, depth + 1);
            };
            write_items(text, ('{', '}'), members.iter(), indent, depth, write);
        }
    }
}

fn write_items<T>(
    text: &mut String,
    (open, close): (char, char),
    items: impl ExactSizeIterator<Item = T>,
    indent: Option<usize>,
    depth: usize,
    write: impl Fn(&mut String, T),
) {
    text.push(open);
    let is_empty = items.len() == 0;
    let line = |text: &mut String, depth: usize| {
        if let Some(indent) = indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(text, depth + 1);
        write(text, item);
    }
    if !is_empty {
        line(text, depth);
    }
    text.push(close);
}

/// All but printable ASCII is escaped.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a `String` does not fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

/// `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub fn float_repr(float: f64) -> String {
    if !float.is_finite() {
        let name = if float.is_nan() { "nan" } else { "inf" };
        return format!("{}{name}", if float < 0.0 { "-" } else { "" });
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match float == 0.0 || (-4..16).contains(&exponent) {
        true => format!("{float:?}"),
        false => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

/// `repr` of a text, of which line breaks and quotes are escaped; other control characters by their number.
pub fn text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            _ if c == quote => repr.extend(['\\', c]),
            _ if u32::from(c) < 0x100 && c.is_control() => {
                let _ = write!(repr, "\\x{:02x}", u32::from(c));
            }
            _ => repr.push(c),
        }
    }
    repr.push(quote);
    repr
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Right-hand sides from CPython 3.11.
    #[test]
    fn json_is_pythons() {
        let numbers = json!([1, -2.5, 1e22, 1e-5, null]);
        let value = json!({ "é\u{1f600}\u{7f}\"\\": numbers, "x": {}, "y": [], "b": { "c": "\u{b}\u{2028}/" } });
        let line = r#"{"\u00e9\ud83d\ude00\u007f\"\\": [1, -2.5, 1e+22, 1e-05, null], "#;
        let line = format!("{line}{}", r#""x": {}, "y": [], "b": {"c": "\u000b\u2028/"}}"#);
        assert_eq!(dumps(&value, None), line);
        assert_eq!(
            dumps(&json!({ "a": [1, {}], "b": [] }), Some(4)),
            "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": []\n}"
        );
    }

    #[test]
    fn floats_are_pythons() {
        for (float, repr) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.66667, "0.66667"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5e300, "-2.5e+300"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_repr(float), repr);
        }
    }

    #[test]
    fn texts_are_pythons() {
        for (text, repr) in [("S2E", "'S2E'"), ("it's", "\"it's\""), ("'\"", "'\\'\"'"), ("a\n\u{1}é", "'a\\n\\x01é'")]
        {
            assert_eq!(text_repr(text), repr);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>(), indent in prop::option::of(0usize..5)) {
            let value = json!({ &text: [&text, { "x": 3 }] });
            let written = dumps(&value, indent);
            prop_assert!(written.is_ascii());
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        }
    }
}
