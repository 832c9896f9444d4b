//! What a line of a list says of an input, made whole by what the run says.

use std::path::PathBuf;

use super::RunWide;
use super::mistake::Mistake;
use crate::batch::job::{Job, JobFrames};

/// What a line says; the run says the rest.
pub(super) struct Draft {
    pub(super) id: Option<String>,
    pub(super) video: Option<String>,
    pub(super) questions: Option<Vec<String>>,
    pub(super) choices: Option<Vec<String>>,
    pub(super) frames: JobFrames,
    pub(super) max_new_tokens: Option<usize>,
    pub(super) meta: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Draft {
    /// The job, unless something is wrong with it or was before.
    pub(super) fn finish(self, mut mistakes: Vec<Mistake>, run: &RunWide<'_>) -> Result<Job, Vec<Mistake>> {
        let questions = self.questions.unwrap_or_else(|| run.questions.to_vec());
        if questions.is_empty() && mistakes.is_empty() {
            mistakes.push(Mistake::NoQuestion);
        }
        let video = self.video.and_then(|text| path(&text, run).map_err(|mistake| mistakes.push(mistake)).ok());
        match video {
            Some((video, text)) if mistakes.is_empty() => Ok(Job {
                id: self.id.unwrap_or(text),
                video,
                questions,
                choices: self.choices.unwrap_or_else(|| run.choices.to_vec()),
                frames: self.frames,
                max_new_tokens: self.max_new_tokens,
                meta: self.meta,
            }),
            _ => Err(mistakes),
        }
    }
}

/// The path that a text means, and the path as text.
fn path(text: &str, run: &RunWide<'_>) -> Result<(PathBuf, String), Mistake> {
    if is_remote(text) {
        let shown: String = text.chars().take(60).collect();
        let more = if shown.len() < text.len() { "..." } else { "" };
        return Err(Mistake::Url(format!("{shown}{more}")));
    }
    let path = (run.local_path)(text).map_err(Mistake::Path)?;
    match path.to_str().map(str::to_owned) {
        Some(text) => Ok((path, text)),
        None => Err(Mistake::PathNotUtf8(path.to_string_lossy().into_owned())),
    }
}

/// URLs of anything but files.
fn is_remote(text: &str) -> bool {
    let lower = text.get(..5).unwrap_or_default().to_ascii_lowercase();
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+.-".contains(letter))
            && !scheme.eq_ignore_ascii_case("file")
    };
    lower == "data:" || text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}
