//! The settings of runs: each printed, and which of them all runs share.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::text::{count, visible};

/// Different values of one setting within a run that are told one by one.
const FEW: usize = 6;

/// Flattens `object`: a setting within another is named `outer.inner`.
pub(super) fn flat(object: &Map<String, Value>) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    descend("", object, &mut settings);
    settings
}

fn descend(before: &str, object: &Map<String, Value>, settings: &mut Vec<(String, String)>) {
    for (key, value) in object {
        let name = format!("{before}{key}");
        match value {
            Value::Object(inner) if !inner.is_empty() => descend(&format!("{name}."), inner, settings),
            other => settings.push((name, printed(other))),
        }
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => "\u{2013}".to_owned(),
        Value::Bool(is_so) => if *is_so { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "\u{2013}".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "\u{2013}".to_owned(),
        Value::Array(values) if values.iter().all(|value| !value.is_array() && !value.is_object()) => {
            values.iter().map(printed).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// The settings of many records, which should be the same and may not be: different values stand side by side.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    settings: Vec<(String, BTreeSet<String>)>,
}

impl Gathered {
    /// Adds those of one record.
    pub(super) fn add(&mut self, settings: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in settings {
            match self.settings.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => _ = values.insert(value),
                None => self.settings.push((name, BTreeSet::from([value]))),
            }
        }
    }

    /// Each with its value, fit to be shown.
    pub(super) fn settings(self) -> Vec<(String, String)> {
        let one = |values: BTreeSet<String>| match values.len() {
            0..=FEW => values.iter().map(|value| visible(value)).collect::<Vec<_>>().join(" | "),
            many => format!("{} different values", count(many)),
        };
        self.settings.into_iter().map(|(name, values)| (visible(&name), one(values))).collect()
    }
}

/// A setting that differs among runs: each value, with the places of the runs that have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differing<'a> {
    pub(super) name: &'a str,
    /// None where a run does not have the setting at all.
    pub(super) values: Vec<(Option<&'a str>, Vec<usize>)>,
}

/// The settings that all runs have with the same value, and the others.
pub(super) type Divided<'a> = (Vec<(&'a str, &'a str)>, Vec<Differing<'a>>);

/// Tells the settings that all runs share from those in which they differ.
pub(super) fn divide<'a>(runs: &[&'a [(String, String)]]) -> Divided<'a> {
    let (mut shared, mut differing) = (Vec::new(), Vec::<Differing<'a>>::new());
    for (name, _) in runs.iter().flat_map(|run| run.iter()) {
        if shared.iter().any(|(known, _)| known == name) || differing.iter().any(|known| known.name == name) {
            continue;
        }
        let mut values: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
        for (place, run) in runs.iter().enumerate() {
            let value = run.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            match values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, places)) => places.push(place),
                None => values.push((value, vec![place])),
            }
        }
        match values.as_slice() {
            [(Some(value), _)] => shared.push((name.as_str(), *value)),
            _ => differing.push(Differing { name, values }),
        }
    }
    (shared, differing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Vec<(String, String)> {
        let Value::Object(object) = value else { panic!("an object") };
        flat(&object)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn every_setting_has_a_line() {
        let found = of(json!({ "a": { "b": 1.5, "c": [1, "x"] }, "d": null, "e": true, "f": {}, "g": [[1]], "h": [] }));
        let expected = [
            ("a.b", "1.5"),
            ("a.c", "1, x"),
            ("d", "\u{2013}"),
            ("e", "yes"),
            ("f", "{}"),
            ("g", "[[1]]"),
            ("h", "\u{2013}"),
        ];
        assert_eq!(found, expected.map(|(name, value)| pair(name, value)));
    }

    #[test]
    fn values_that_differ_within_a_run_stand_side_by_side() {
        let mut gathered = Gathered::default();
        for device in ["cuda:0", "cpu", "cuda:0"] {
            gathered.add([pair("device", device), pair("dtype", "bf16")]);
        }
        gathered.add((0..9).map(|seed| pair("seed", &seed.to_string())));
        let expected = [pair("device", "cpu | cuda:0"), pair("dtype", "bf16"), pair("seed", "9 different values")];
        assert_eq!(gathered.settings(), expected);
    }

    #[test]
    fn what_all_share_is_said_once() {
        let (a, b) = ([pair("x", "1"), pair("y", "2")], [pair("y", "3"), pair("x", "1"), pair("z", "4")]);
        let (shared, differing) = divide(&[&a, &b, &a]);
        assert_eq!(shared, [("x", "1")]);
        let y = Differing { name: "y", values: vec![(Some("2"), vec![0, 2]), (Some("3"), vec![1])] };
        let z = Differing { name: "z", values: vec![(None, vec![0, 2]), (Some("4"), vec![1])] };
        assert_eq!(differing, [y, z]);
        assert_eq!(divide(&[]), (Vec::new(), Vec::new()));
    }
}
