//! Reading JSON objects whose keys may be absent, null or of the wrong type.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::documents::Documents;
use super::error::Error;

/// Larger than any size or count of a model; products of two still fit in 64 bits.
const MAX_COUNT: u64 = i32::MAX as u64;

/// A JSON object together with the file it came from, so that every complaint names both.
pub(super) struct Object {
    pub(super) path: PathBuf,
    pub(super) map: Map<String, Value>,
}

impl Object {
    /// Reads the document `name`; `Ok(None)` where there is none.
    pub(super) fn read_optional(documents: &Documents, name: &str) -> Result<Option<Self>, Error> {
        let path = documents.path(name);
        match documents.read(name)? {
            None => Ok(None),
            Some(bytes) => match serde_json::from_slice(&bytes) {
                Ok(map) => Ok(Some(Self { path, map })),
                Err(source) => Err(Error::Json { path, source }),
            },
        }
    }

    /// Reads the document `name`, which must exist.
    pub(super) fn read(documents: &Documents, name: &str) -> Result<Self, Error> {
        Self::read_optional(documents, name)?.ok_or_else(|| Error::Read {
            path: documents.path(name),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        })
    }

    /// The value of `key`; null counts as absent, as in the reference's `getattr(config, key, default)` uses.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.map.get(key).unwrap_or(&Value::Null);
        self.error(format!("`{key}` is {found}, expected {expected}"))
    }

    /// An error about this file.
    pub(super) fn error(&self, message: String) -> Error {
        Error::Config { path: self.path.clone(), message }
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.value(key).map(|v| v.as_bool().ok_or_else(|| self.wrong(key, "true or false"))).transpose()
    }

    pub(super) fn str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.value(key).map(|v| v.as_str().ok_or_else(|| self.wrong(key, "a string"))).transpose()
    }

    pub(super) fn f64(&self, key: &str) -> Result<Option<f64>, Error> {
        let number = |v: &Value| v.as_f64().filter(|x| x.is_finite()).ok_or_else(|| self.wrong(key, "a number"));
        self.value(key).map(number).transpose()
    }

    /// A whole number of at least one (sizes and counts; Python writes some of them as floats).
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, Error> {
        let whole = |v: &Value| {
            let from_float = || v.as_f64().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64);
            let number = v.as_u64().or_else(from_float).filter(|n| (1..=MAX_COUNT).contains(n));
            let expected = || format!("a whole number from 1 to {MAX_COUNT}");
            number.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| self.wrong(key, &expected()))
        };
        self.value(key).map(whole).transpose()
    }

    /// A whole number of at least one that must be there.
    pub(super) fn required_count(&self, key: &str) -> Result<usize, Error> {
        self.count(key)?.ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// One token id or a list of them.
    pub(super) fn token_ids(&self, key: &str) -> Result<Option<Vec<u32>>, Error> {
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let ids = |v: &Value| match v {
            Value::Array(list) => list.iter().map(id).collect::<Option<Vec<_>>>(),
            single => id(single).map(|id| vec![id]),
        };
        self.value(key).map(|v| ids(v).ok_or_else(|| self.wrong(key, "a token id or a list of them"))).transpose()
    }

    /// A nested object; `None` where the key is absent or null.
    pub(super) fn object(&self, key: &str) -> Result<Option<Self>, Error> {
        let nested = |v: &Value| match v {
            Value::Object(map) => Ok(Self { path: self.path.clone(), map: map.clone() }),
            _ => Err(self.wrong(key, "an object")),
        };
        self.value(key).map(nested).transpose()
    }
}
