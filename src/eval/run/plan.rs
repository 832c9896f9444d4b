//! From rows to jobs of a batch. The questions about one clip are one job, so that its visual tokens are read once;
//! each row keeps a job of its own, which tells whether it is done.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::settings::Manner;
use super::source::Source;
use crate::batch::{Job, JobFrames};
use crate::eval::data::Data;
use crate::eval::results::Scoring;
use crate::eval::videos::{Missing, Video, VideoError};
use crate::eval::{BadColumn, Row};

/// What is asked, and about which clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Every row, in the order of the data.
    pub asked: Vec<Asked>,
    /// Every clip with the rows about it, in the order of their first rows.
    pub sittings: Vec<Sitting>,
}

/// A row as it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The row.
    pub row: Row,
    /// How many rows its part has.
    pub rows: usize,
    /// The video that it is about.
    pub video: String,
    /// The row by itself: its id, its question, and its video by name, so that a folder may be moved.
    pub job: Job,
}

/// The questions about one clip, or about one part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sitting {
    /// The clip, where it was found, with all questions. Its id is that of its first row.
    pub job: Job,
    /// Its rows, by their places in [`Plan::asked`], in the order of the questions.
    pub rows: Vec<usize>,
    /// Where the clip was looked for, if it was not found.
    pub tried: Option<Missing>,
}

/// Rows that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A column is not as it should be.
    #[error(transparent)]
    Column(#[from] BadColumn),
    /// A row does not say which video it is about.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// Letters are to be compared, and there are none.
    #[error("row {row} has no options whose letters could be compared")]
    NoOptions {
        /// The row.
        row: usize,
    },
}

/// The jobs of all rows. Videos are looked for under `videos`.
///
/// # Errors
/// A row that cannot be asked.
pub fn plan(source: Source, manner: Manner, data: &Data, videos: &Path) -> Result<Plan, PlanError> {
    let mut plan = Plan { asked: Vec::with_capacity(data.rows.len()), sittings: Vec::new() };
    let mut sittings: HashMap<String, usize> = HashMap::new();
    let mut rows_of: HashMap<&Option<String>, usize> = HashMap::new();
    for row in &data.rows {
        *rows_of.entry(&row.part).or_default() += 1;
    }
    for row in &data.rows {
        let options = source.options(row)?;
        let choices = match (manner.scoring, options) {
            (Scoring::Parse, _) => Vec::new(),
            (Scoring::Logprob, Some(options)) => ('A'..='Z').take(options).map(String::from).collect(),
            (Scoring::Logprob, None) => return Err(PlanError::NoOptions { row: row.row }),
        };
        let (clip, tried) = match source.locate(videos, row)? {
            Video::Clip(path) | Video::Frames(path) => (path, None),
            Video::Missing(missing) => (missing.tried.first().cloned().unwrap_or_default(), Some(missing)),
        };
        let video = source.video(row)?;
        let job = Job {
            id: source.id(row),
            video: PathBuf::from(&video),
            questions: vec![source.context(row)?],
            choices,
            frames: frames(source, manner, row)?,
            max_new_tokens: Some(source.max_new_tokens(options.is_some())),
            meta: None,
        };
        let key = sitting_key(&job, &clip);
        let place = *sittings.entry(key).or_insert_with(|| {
            let frames = frames_of(job.frames.clone(), &clip);
            let job = Job { video: clip, questions: Vec::new(), frames, ..job.clone() };
            plan.sittings.push(Sitting { job, rows: Vec::new(), tried });
            plan.sittings.len() - 1
        });
        let sitting = &mut plan.sittings[place];
        sitting.rows.push(plan.asked.len());
        sitting.job.questions.extend(job.questions.iter().cloned());
        plan.asked.push(Asked { row: row.clone(), rows: rows_of[&row.part], video, job });
    }
    Ok(plan)
}

/// As the protocol has them.
fn frames(source: Source, manner: Manner, row: &Row) -> Result<JobFrames, BadColumn> {
    let sampling = manner.settings().sampling;
    let (start_secs, end_secs) = source.span(row)?;
    let (max_frames, fps) = (Some(sampling.max_frames), sampling.fps);
    Ok(JobFrames { start_secs, end_secs, moments_secs: Vec::new(), max_frames, fps })
}

/// Of a folder of frames always the whole number is taken, whatever the rate.
fn frames_of(frames: JobFrames, clip: &Path) -> JobFrames {
    let fps = frames.fps.filter(|_| !clip.is_dir());
    JobFrames { fps, ..frames }
}

/// What rows have in common that are asked together.
fn sitting_key(job: &Job, clip: &Path) -> String {
    let Job { choices, frames, max_new_tokens, .. } = job;
    format!("{clip:?} {choices:?} {frames:?} {max_new_tokens:?}")
}

impl Sitting {
    /// The same about some of its rows only.
    #[must_use]
    pub fn about(&self, plan: &Plan, keep: impl Fn(&Asked) -> bool) -> Self {
        let rows: Vec<usize> = self.rows.iter().copied().filter(|&place| keep(&plan.asked[place])).collect();
        let questions = rows.iter().flat_map(|&place| plan.asked[place].job.questions.iter().cloned()).collect();
        Self { job: Job { questions, ..self.job.clone() }, rows, tried: self.tried.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::eval::protocol::Protocol;
    use crate::eval::{Benchmark, Harness, Split};

    const SOURCE: Source =
        Source::Benchmark { benchmark: Benchmark::VideoMme, harness: Harness::September2024, split: Split::Card };

    fn rows(videos: &[&str]) -> Data {
        let row = |(row, video): (usize, &&str)| Row {
            row,
            part: None,
            columns: serde_json::from_value(json!({
                "videoID": video, "question": format!("q{row}"), "options": ["A. a", "B. b", "C. c", "D. d"],
            }))
            .unwrap(),
        };
        Data { rows: videos.iter().enumerate().map(row).collect(), missing_parts: Vec::new() }
    }

    fn planned(scoring: Scoring, videos: &[&str]) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.mp4"), "").unwrap();
        plan(SOURCE, Manner { protocol: Protocol::Docs, scoring, frames: None }, &rows(videos), dir.path()).unwrap()
    }

    #[test]
    fn questions_of_one_video_stand_together() {
        let plan = planned(Scoring::Parse, &["x", "y", "x"]);
        let sittings: Vec<_> =
            plan.sittings.iter().map(|sitting| (sitting.job.id.as_str(), &sitting.rows[..])).collect();
        assert_eq!(sittings, [("videomme/0", &[0, 2][..]), ("videomme/1", &[1][..])]);
        let [x, y] = &plan.sittings[..] else { panic!("two") };
        assert!(x.tried.is_none() && x.job.video.ends_with("x.mp4"));
        assert!(y.tried.as_ref().is_some_and(|missing| missing.tried.len() > 1));
        assert_eq!(x.job.questions, [&plan.asked[0].job.questions[0][..], &plan.asked[2].job.questions[0]]);
        assert_eq!((x.job.frames.max_frames, x.job.frames.fps, x.job.max_new_tokens), (Some(64), Some(1.0), Some(16)));
        let rest = x.about(&plan, |asked| asked.row.row == 2);
        assert_eq!((rest.rows, rest.job.questions.len()), (vec![2], 1));
    }

    #[test]
    fn a_row_is_the_same_wherever_its_video_is() {
        let (one, other) = (planned(Scoring::Parse, &["x"]), planned(Scoring::Parse, &["x"]));
        assert_eq!(one.asked[0].job.digest(), other.asked[0].job.digest());
        assert_ne!(one.sittings[0].job.video, other.sittings[0].job.video);
    }

    #[test]
    fn a_folder_that_comes_later_changes_no_row() {
        let (dir, source) = (tempfile::tempdir().unwrap(), SOURCE);
        let manner = Manner { protocol: Protocol::Docs, scoring: Scoring::Parse, frames: None };
        let before = plan(source, manner, &rows(&["x"]), dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("x.mp4")).unwrap();
        let after = plan(source, manner, &rows(&["x"]), dir.path()).unwrap();
        assert_eq!(before.asked[0].job.digest(), after.asked[0].job.digest());
        assert_eq!((before.sittings[0].job.frames.fps, after.sittings[0].job.frames.fps), (Some(1.0), None));
    }

    #[test]
    fn letters_are_those_of_the_options() {
        let plan = planned(Scoring::Logprob, &["x"]);
        assert_eq!(plan.asked[0].job.choices, ["A", "B", "C", "D"]);
        let open = Source::Benchmark { benchmark: Benchmark::VideoDc, harness: Harness::Head, split: Split::Card };
        let data = Data { rows: rows(&["x"]).rows, missing_parts: Vec::new() };
        let manner = Manner { protocol: Protocol::Card, scoring: Scoring::Logprob, frames: None };
        assert_eq!(super::plan(open, manner, &data, Path::new("v")), Err(PlanError::NoOptions { row: 0 }));
    }
}
