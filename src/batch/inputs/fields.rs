//! The keys of an object of JSON, each taken once and checked; what is wrong is collected, not only the first of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Mistake;
use crate::moment;

/// What is left of an object, and what was wrong so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    map: Map<String, Value>,
    pub(super) mistakes: Vec<Mistake>,
}

/// An object of which no key may be there twice.
struct Object(Fields);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
        let mut fields = Fields::default();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if fields.map.insert(key.clone(), value).is_some() {
                fields.mistakes.push(Mistake::Twice(key));
            }
        }
        Ok(Object(fields))
    }
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        // Of a line that is read by itself, the number would only mislead.
        let said = |error: serde_json::Error| error.to_string().replace(" at line 1 column ", " at column ");
        serde_json::from_str(text).map(|Object(fields)| fields).map_err(|error| Mistake::NotJson(said(error)))
    }

    pub(super) fn of(map: Map<String, Value>) -> Self {
        Self { map, mistakes: Vec::new() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The value, where it is there and not null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&mut self, key: &'static str, expected: &'static str) {
        self.mistakes.push(Mistake::Value { key, expected });
    }

    /// What `read` makes of the value; where it makes nothing of it, `expected` says what it would.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let read = read(&value);
        if read.is_none() {
            self.wrong(key, expected);
        }
        read
    }

    /// Text that says something.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "text that says something", text)
    }

    /// Texts that say something, at least one.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
        self.read(key, "an array of texts that say something", |value| texts(value).filter(|texts| !texts.is_empty()))
    }

    pub(super) fn count(&mut self, key: &'static str) -> Option<usize> {
        let count = |value: &Value| usize::try_from(value.as_u64()?).ok().filter(|&count| count > 0);
        self.read(key, "a whole number above 0", count)
    }

    pub(super) fn rate(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a number above 0", |value| value.as_f64().filter(|&rate| rate > 0.0))
    }

    /// A moment of the clip, in seconds.
    pub(super) fn moment(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "seconds from the start of the clip, such as 90, \"1:30\" or \"1m30s\"", moment_secs)
    }

    /// A moment, or several, ascending; none where the key is not there.
    pub(super) fn moments(&mut self, key: &'static str) -> Vec<f64> {
        let all = |value: &Value| match value {
            Value::Array(values) => values.iter().map(moment_secs).collect::<Option<Vec<_>>>(),
            value => moment_secs(value).map(|secs| vec![secs]),
        };
        let some = |value: &Value| all(value).filter(|moments| !moments.is_empty());
        let mut moments =
            self.read(key, "a time or an array of times, such as [90, \"1:30\"]", some).unwrap_or_default();
        moments.sort_by(f64::total_cmp);
        moments
    }

    pub(super) fn object(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        self.read(key, "an object", |value| value.as_object().cloned())
    }

    /// Everything that was not taken is unknown; `known` are names it may have been meant to be.
    pub(super) fn finish(mut self, known: &[&'static str]) -> Vec<Mistake> {
        let unknown = self.map.into_iter().map(|(key, _)| key);
        self.mistakes.extend(unknown.map(|key| Mistake::Unknown { nearest: nearest(&key, known), key }));
        self.mistakes
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn moment_secs(value: &Value) -> Option<f64> {
    let secs = match value {
        Value::String(text) => moment::parse(text).ok()?,
        value => value.as_f64().filter(|secs| secs.is_finite() && *secs >= 0.0)?,
    };
    // No input is another one for the sign of its zero.
    Some(secs + 0.0)
}

/// Names that other programs give to the same things.
const OTHER_NAMES: [(&str, &str); 14] = [
    ("video_path", "video"),
    ("path", "video"),
    ("file", "video"),
    ("filename", "video"),
    ("clip", "video"),
    ("prompt", "question"),
    ("query", "question"),
    ("options", "choices"),
    ("num_frames", "frames"),
    ("max_frames", "frames"),
    ("max_tokens", "max_new_tokens"),
    ("start_secs", "start"),
    ("end_secs", "end"),
    ("metadata", "meta"),
];

fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_lowercase();
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == key).map(|&(_, name)| name);
    let most = if key.chars().count() <= 5 { 1 } else { 2 };
    let slips = |name: &&&str| strsim::osa_distance(&key, name);
    let near = known.iter().filter(|name| slips(name) <= most).min_by_key(slips).copied();
    near.or_else(|| other.filter(|name| known.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_the_names_of_others_are_known() {
        let known = ["video", "question", "max_new_tokens", "at"];
        for (key, name) in [
            ("vidoe", Some("video")),
            ("Question", Some("question")),
            ("video_path", Some("video")),
            ("max_tokens", Some("max_new_tokens")),
            ("choices", None),
            ("options", None),
            ("", None),
        ] {
            assert_eq!(nearest(key, &known), name, "{key}");
        }
    }

    #[test]
    fn each_key_is_taken_once_and_null_is_nothing() {
        let mut fields = Fields::parse(r#"{"a": null, "b": 1, "b": 2, "c": "x"}"#).unwrap();
        assert_eq!((fields.has("a"), fields.take("a"), fields.text("c")), (false, None, Some("x".to_owned())));
        let unknown = Mistake::Unknown { key: "b".to_owned(), nearest: None };
        assert_eq!(fields.finish(&[]), [Mistake::Twice("b".to_owned()), unknown]);
    }
}
