//! Where a row's video is, by the harness's rules.
//!
//! Source: `doc_to_visual` of the harness's tasks. It looks under `HF_HOME` in a folder of its own for each benchmark,
//! which holds the publisher's folder; that folder, or the one with the files, may be named instead.

use std::path::{Component, Path, PathBuf};

use super::{BadColumn, Benchmark, Harness, Row, Split};

/// What there is of a row's video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Video {
    /// A file.
    Clip(PathBuf),
    /// A folder of pictures, three to the second (MVBench's `episodic_reasoning` in the tree of September 2024).
    Frames(PathBuf),
    /// Nothing.
    Missing(Missing),
}

/// A video that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where it was looked for. The first is where the harness has it.
    pub tried: Vec<PathBuf>,
    /// What the harness does then.
    pub harness: AtMissing,
}

/// What the harness does about a video that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtMissing {
    /// It ends the run.
    Exits,
    /// It raises `FileNotFoundError`.
    Raises,
    /// It hands the path to the model all the same, whose answer is then that the video cannot be loaded.
    HandsOver,
}

/// A row whose video has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// A column is not there.
    #[error(transparent)]
    Column(#[from] BadColumn),
    /// A name that leads out of the folder, or names nothing.
    #[error("row {row}: `{name}` is no name of a file within a folder")]
    Name {
        /// The row.
        row: usize,
        /// The name.
        name: String,
    },
    /// A row of MVBench of no subtask.
    #[error("row {row}: `{part}` is no subtask of mvbench")]
    Part {
        /// The row.
        row: usize,
        /// Its part.
        part: String,
    },
}

/// Part of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// From here, in seconds.
    pub start_secs: f64,
    /// Until here.
    pub end_secs: f64,
}

/// Looks for a row's video under `videos`.
///
/// Other extensions are tried as the harness does: `mp4` is replaced wherever it stands, so that an id or a folder of
/// the benchmark with `mp4` in its name has only its first spelling. `videos` itself, where the harness does that too,
/// stays.
///
/// # Errors
/// The row does not say which video it is about.
pub fn locate(
    videos: &Path,
    benchmark: Benchmark,
    harness: Harness,
    split: Split,
    row: &Row,
) -> Result<Video, VideoError> {
    let (name, others) = name_within(benchmark, row)?;
    let place = place(benchmark, harness, split, row)?;
    let mut folders = vec![Path::new(place.cache).join(place.inside), PathBuf::from(place.inside), PathBuf::new()];
    folders.dedup();
    let mut tried = Vec::new();
    for folder in folders {
        let first = folder.join(&name);
        let second = others.iter().filter_map(|other| Some(PathBuf::from(first.to_str()?.replace("mp4", other))));
        tried.extend(std::iter::once(first.clone()).chain(second).map(|path| videos.join(path)));
    }
    match tried.iter().find(|path| path.exists()) {
        Some(path) if benchmark == Benchmark::MvBench && path.is_dir() => Ok(Video::Frames(path.clone())),
        Some(path) => Ok(Video::Clip(path.clone())),
        None => Ok(Video::Missing(Missing { tried, harness: at_missing(benchmark) })),
    }
}

/// Where the harness looks for a row's video first, within `HF_HOME`.
///
/// # Errors
/// The row does not say which video it is about.
pub fn expected(benchmark: Benchmark, harness: Harness, split: Split, row: &Row) -> Result<PathBuf, VideoError> {
    let (name, _) = name_within(benchmark, row)?;
    let place = place(benchmark, harness, split, row)?;
    Ok(Path::new(place.cache).join(place.inside).join(name))
}

/// The part of its video that a row of MVBench is about, where it says so.
///
/// No tree of the harness cuts by it: in September 2024 the whole video was shown, and since then the files that it
/// reads are cut already.
///
/// # Errors
/// Only one of the two ends is there.
pub fn span(benchmark: Benchmark, row: &Row) -> Result<Option<Span>, BadColumn> {
    let is_there = |column| row.columns.get(column).is_some_and(|value| !value.is_null());
    match benchmark == Benchmark::MvBench && (is_there("start") || is_there("end")) {
        true => Ok(Some(Span { start_secs: row.number("start")?, end_secs: row.number("end")? })),
        false => Ok(None),
    }
}

fn at_missing(benchmark: Benchmark) -> AtMissing {
    match benchmark {
        Benchmark::NextQa => AtMissing::Raises,
        Benchmark::MvBench | Benchmark::LongVideoBench => AtMissing::HandsOver,
        Benchmark::ActivityNetQa
        | Benchmark::EgoSchema
        | Benchmark::EgoSchemaSubset
        | Benchmark::Mlvu
        | Benchmark::PerceptionTest
        | Benchmark::VideoChatGpt
        | Benchmark::VideoDc
        | Benchmark::VideoMme => AtMissing::Exits,
    }
}

/// [`name`], of those that lead nowhere else.
fn name_within(benchmark: Benchmark, row: &Row) -> Result<(String, &'static [&'static str]), VideoError> {
    let (name, others) = name(benchmark, row)?;
    match stays_within(&name) {
        true => Ok((name, others)),
        false => Err(VideoError::Name { row: row.row, name }),
    }
}

/// The name of a row's file, and what else `mp4` may be in it.
fn name(benchmark: Benchmark, row: &Row) -> Result<(String, &'static [&'static str]), BadColumn> {
    Ok(match benchmark {
        Benchmark::ActivityNetQa => (format!("v_{}.mp4", row.text("video_name")?), &["webm", "mkv"]),
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset => (format!("{}.mp4", row.text("video_idx")?), &["MP4"]),
        Benchmark::Mlvu => (row.text("video_name")?.to_owned(), &[]),
        Benchmark::MvBench => (row.text("video")?.to_owned(), &[]),
        Benchmark::NextQa => (format!("{}.mp4", row.label("video")?), &["MP4"]),
        Benchmark::PerceptionTest => (format!("{}.mp4", row.text("video_name")?), &["MP4"]),
        Benchmark::VideoChatGpt | Benchmark::VideoDc => (format!("{}.mp4", row.text("video_name")?), &["MP4", "mkv"]),
        Benchmark::LongVideoBench => (row.text("video_path")?.to_owned(), &[]),
        Benchmark::VideoMme => (format!("{}.mp4", row.text("videoID")?), &["MP4", "mkv"]),
    })
}

fn stays_within(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

/// A benchmark's folder under `HF_HOME`, and where the videos are in it.
struct Place {
    cache: &'static str,
    inside: &'static str,
}

fn place(benchmark: Benchmark, harness: Harness, split: Split, row: &Row) -> Result<Place, VideoError> {
    let (cache, inside) = match (benchmark, harness, split) {
        (Benchmark::ActivityNetQa, ..) => ("activitynetqa", "all_test"),
        (Benchmark::EgoSchema | Benchmark::EgoSchemaSubset, ..) => ("egoschema", "videos"),
        (Benchmark::Mlvu, _, Split::Card) => ("mlvu", ""),
        (Benchmark::Mlvu, _, Split::Test) => ("mlvu_test", ""),
        (Benchmark::MvBench, ..) => mvbench(harness, row)?,
        (Benchmark::NextQa, ..) => ("nextqa", "NExTVideo"),
        (Benchmark::PerceptionTest, _, Split::Card) => ("perceptiontest_val", "videos"),
        (Benchmark::PerceptionTest, _, Split::Test) => ("perceptiontest", "videos"),
        (Benchmark::VideoChatGpt | Benchmark::VideoDc, ..) => ("videochatgpt", "Test_Videos"),
        (Benchmark::LongVideoBench, Harness::Head, _) => ("datasets/longvideobench", "videos"),
        (Benchmark::LongVideoBench, ..) => ("longvideobench", "videos"),
        (Benchmark::VideoMme, ..) => ("videomme", "data"),
    };
    Ok(Place { cache, inside })
}

/// Where the videos of a subtask of MVBench are within the publisher's folder; none where there is no such subtask.
pub fn mvbench_folder(harness: Harness, part: &str) -> Option<&'static str> {
    let row = Row { row: 0, part: Some(part.to_owned()), columns: serde_json::Map::new() };
    mvbench(harness, &row).ok().map(|(_, inside)| inside)
}

/// Since October 2024 the harness reads another revision of the repository, of which videos are cut and converted.
fn mvbench(harness: Harness, row: &Row) -> Result<(&'static str, &'static str), VideoError> {
    let part = row.part.as_deref().unwrap_or_default();
    let unknown = || VideoError::Part { row: row.row, part: part.to_owned() };
    let whole = harness == Harness::September2024;
    let either = |then, since| if whole { then } else { since };
    let inside = match part {
        "object_interaction" | "action_sequence" | "action_prediction" => {
            either("star/Charades_v1_480", "star/Charades_segment")
        }
        "action_localization" => either("sta/sta_video", "sta/sta_video_segment"),
        "moving_count" | "moving_direction" | "moving_attribute" | "counterfactual_inference" | "object_existence" => {
            "clevrer/video_validation"
        }
        "fine_grained_pose" => either("nturgbd", "nturgbd_convert"),
        "character_order" | "object_shuffle" | "state_change" | "action_count" => "perception/videos",
        "egocentric_navigation" => "vlnqa",
        "episodic_reasoning" => either("tvqa/frames_fps3_hq", "tvqa/video_fps3_hq_segment"),
        "fine_grained_action" => "Moments_in_Time_Raw/videos",
        "scene_transition" => "scene_qa/video",
        "action_antonym" => either("ssv2_video", "ssv2_video_mp4"),
        "unexpected_action" => "FunQA_test/test",
        _ => return Err(unknown()),
    };
    Ok((either("mvbench", "mvbench_video"), inside))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(part: Option<&str>, columns: Value) -> Row {
        let Value::Object(columns) = columns else { panic!("an object") };
        Row { row: 5, part: part.map(str::to_owned), columns }
    }

    /// A folder whose own name is not to be taken for an extension.
    fn folder() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("mp4-").tempdir().unwrap()
    }

    fn put(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        path
    }

    fn find(root: &Path, benchmark: Benchmark, row: &Row) -> Result<Video, VideoError> {
        locate(root, benchmark, Harness::default(), Split::Card, row)
    }

    #[test]
    fn any_of_three_folders_may_be_named() {
        let dir = folder();
        let row = row(None, json!({ "videoID": "x" }));
        for name in ["x.mkv", "data/x.mkv", "videomme/data/x.MP4", "videomme/data/x.mp4"] {
            let path = put(dir.path(), name);
            assert_eq!(find(dir.path(), Benchmark::VideoMme, &row), Ok(Video::Clip(path)));
        }
    }

    #[test]
    fn all_that_was_tried_is_named() {
        let dir = folder();
        let found = find(dir.path(), Benchmark::Mlvu, &row(None, json!({ "video_name": "x.mp4" })));
        let tried = vec![dir.path().join("mlvu/x.mp4"), dir.path().join("x.mp4")];
        assert_eq!(found, Ok(Video::Missing(Missing { tried, harness: AtMissing::Exits })));
        let Ok(Video::Missing(missing)) = find(dir.path(), Benchmark::NextQa, &row(None, json!({ "video": 7 }))) else {
            panic!("missing")
        };
        assert_eq!((missing.tried.len(), missing.harness), (6, AtMissing::Raises));
    }

    #[test]
    fn a_folder_of_frames_is_one_for_mvbench_alone() {
        let dir = folder();
        put(dir.path(), "mvbench/tvqa/frames_fps3_hq/x.mp4/00001.jpg");
        let found = find(dir.path(), Benchmark::MvBench, &row(Some("episodic_reasoning"), json!({ "video": "x.mp4" })));
        assert_eq!(found, Ok(Video::Frames(dir.path().join("mvbench/tvqa/frames_fps3_hq/x.mp4"))));
        put(dir.path(), "mlvu/y.mp4/00001.jpg");
        let found = find(dir.path(), Benchmark::Mlvu, &row(None, json!({ "video_name": "y.mp4" })));
        assert_eq!(found, Ok(Video::Clip(dir.path().join("mlvu/y.mp4"))));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../x.mp4", "/x.mp4", "a/../../x.mp4", "", "."] {
            let found = find(Path::new("v"), Benchmark::Mlvu, &row(None, json!({ "video_name": name })));
            assert_eq!(found, Err(VideoError::Name { row: 5, name: name.to_owned() }));
        }
        let found = find(Path::new("v"), Benchmark::MvBench, &row(Some("x"), json!({ "video": "x" })));
        assert_eq!(found.unwrap_err().to_string(), "row 5: `x` is no subtask of mvbench");
        assert!(find(Path::new("v"), Benchmark::Mlvu, &row(None, json!({}))).is_err());
    }

    #[test]
    fn spans_are_whole_or_not_there() {
        let span = |columns| span(Benchmark::MvBench, &row(None, columns));
        let whole = Span { start_secs: 1.0, end_secs: 2.5 };
        assert_eq!(span(json!({ "start": 1, "end": 2.5 })), Ok(Some(whole)));
        assert_eq!((span(json!({})), span(json!({ "start": null }))), (Ok(None), Ok(None)));
        assert_eq!(span(json!({ "start": 1 })).unwrap_err().column, "end");
    }

    #[test]
    fn every_subtask_has_a_folder_in_every_tree() {
        for part in crate::eval::data::parts(Benchmark::MvBench) {
            for harness in Harness::ALL {
                assert!(mvbench(harness, &row(Some(part), json!({}))).is_ok());
            }
        }
    }
}
