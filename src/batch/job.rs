//! One input of a batch: which part of which clip is asked about, and what.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

/// One input. Its record in the output bears its id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Names it in the output; no two inputs of a batch have the same.
    pub id: String,
    /// The clip, the picture, or the directory of pictures.
    pub video: PathBuf,
    /// What is asked, in order; at least one.
    pub questions: Vec<String>,
    /// The answers to choose from; empty where the model answers freely.
    pub choices: Vec<String>,
    /// Which frames, where they are others than the run's.
    pub frames: JobFrames,
    /// The longest answer in tokens, where it is another than the run's.
    pub max_new_tokens: Option<usize>,
    /// What the input says beside this, for the reader of the output; nothing depends on it.
    #[serde(skip)]
    pub meta: Option<Map<String, Value>>,
}

/// Which frames of its clip an input asks for; what it leaves open is as the run has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct JobFrames {
    /// Only frames that appear from here on.
    pub start_secs: Option<f64>,
    /// Only frames that appear before this.
    pub end_secs: Option<f64>,
    /// Those shown at these moments, ascending; empty where frames are sampled.
    pub moments_secs: Vec<f64>,
    /// How many.
    pub max_frames: Option<usize>,
    /// Frames per second.
    pub fps: Option<f64>,
}

impl Job {
    /// A hash of everything that the answers depend on, in 16 hexadecimal digits: an input that was changed under the
    /// same id is told by it.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("plain data");
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }
}

impl AsRef<Self> for Job {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            id: "a".to_owned(),
            video: "a.mp4".into(),
            questions: vec!["What?".to_owned()],
            choices: Vec::new(),
            frames: JobFrames::default(),
            max_new_tokens: None,
            meta: None,
        }
    }

    #[test]
    fn all_but_what_is_passed_through_makes_another_digest() {
        let frames = |frames: JobFrames| Job { frames, ..job() };
        let part = JobFrames::default;
        let jobs = [
            job(),
            Job { id: "b".to_owned(), ..job() },
            Job { video: "b.mp4".into(), ..job() },
            Job { questions: vec!["What".to_owned(), "?".to_owned()], ..job() },
            Job { choices: vec!["a".to_owned()], ..job() },
            Job { max_new_tokens: Some(1), ..job() },
            frames(JobFrames { start_secs: Some(1.0), ..part() }),
            frames(JobFrames { end_secs: Some(1.0), ..part() }),
            frames(JobFrames { moments_secs: vec![1.0], ..part() }),
            frames(JobFrames { max_frames: Some(1), ..part() }),
            frames(JobFrames { fps: Some(1.0), ..part() }),
        ];
        let digests: std::collections::BTreeSet<String> = jobs.iter().map(Job::digest).collect();
        assert_eq!(digests.len(), jobs.len());
        assert_eq!(Job { meta: Some(Map::new()), ..job() }.digest(), job().digest());
    }
}
