//! Contexts of the open questions.

use crate::eval::python;
use crate::eval::{BadColumn, Row};

/// A question mark is added even where there is one.
pub(super) fn activitynetqa(row: &Row) -> Result<String, BadColumn> {
    let question = python::capitalize(row.text("question")?);
    Ok(format!("{question}? Answer the question using a single word or phrase."))
}

/// Of a consistency row, one of the two questions is the text `None`.
pub(super) fn videochatgpt(row: &Row) -> Result<String, BadColumn> {
    let question = match row.columns.contains_key("question_1") {
        false => row.text("question")?,
        true => match row.text("question_1")? {
            "None" => row.text("question_2")?,
            question => question,
        },
    };
    Ok(question.to_owned())
}
