//! Answers as a record holds them: `answers`, or `windows` each with its own.

use serde_json::{Map, Value};

/// The texts of one clip or window, in the order of the questions.
pub(crate) fn texts(holder: &Value) -> impl Iterator<Item = &str> {
    answers(holder.get("answers")).filter_map(|answer| answer.get("answer")?.as_str())
}

/// The windows of a record: from where, before where, and what holds the answers; `None` where the whole clip was asked
/// about.
pub(crate) fn windows(record: &Value) -> Option<Vec<(f64, f64, &Value)>> {
    let secs = |window: &Value, key: &str| window.get(key)?.as_f64();
    let window = |window| Some((secs(window, "start_secs")?, secs(window, "end_secs")?, window));
    let windows = record.get("windows")?.as_array().filter(|windows| !windows.is_empty())?;
    windows.iter().map(window).collect()
}

/// Every answer of a body, whether it has windows or not: its text, and how many tokens it has.
pub(crate) fn all(body: &Map<String, Value>) -> impl Iterator<Item = (&str, u64)> {
    let windows = body.get("windows").and_then(Value::as_array).into_iter().flatten();
    let in_windows = windows.flat_map(|window| answers(window.get("answers")));
    answers(body.get("answers")).chain(in_windows).filter_map(|answer| {
        let tokens = answer.get("completion_tokens").and_then(Value::as_u64);
        Some((answer.get("answer")?.as_str()?, tokens.unwrap_or(0)))
    })
}

fn answers(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}
