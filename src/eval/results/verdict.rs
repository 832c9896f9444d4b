//! What a judge said of a record, on one side.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a judge said of a row, or of a pair of rows, on one side.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SideVerdict {
    /// The side, by the name that [`Side::name`](crate::eval::judge::Side::name) has.
    pub side: String,
    /// What the harness's aggregates read of it; `None` where there is no verdict, as with a reply that cannot be read.
    pub verdict: Option<Map<String, Value>>,
    /// Whether the verdict is the harness's for failures, and no judge's.
    pub is_by_failure: bool,
    /// The judge that was asked, by the name that it was asked by.
    pub judge: Option<String>,
    /// The server that was asked.
    pub host: Option<String>,
    /// The name of the request, by [`request_key`](crate::eval::judge::request_key): the same request need not be made
    /// again.
    pub request: Option<String>,
    /// The judge's words.
    pub reply: Option<String>,
    /// The judge's name, by its own word.
    pub model: Option<String>,
    /// Requests made.
    pub requests: u32,
    /// What went wrong last.
    pub reason: Option<String>,
    /// When it was said, as RFC 3339 has it.
    pub at: Option<String>,
}
