//! The categories of a row, and the video whose rows depend on each other.

use std::borrow::Cow;

use serde_json::Value;

use crate::eval::{BadColumn, Benchmark, Row};

/// A category of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Group {
    /// What is told apart: `duration`, `task type`.
    pub dimension: Cow<'static, str>,
    /// As the data has it.
    pub name: String,
}

impl Group {
    /// A category of a dimension that the program knows.
    pub fn new(dimension: &'static str, name: impl Into<String>) -> Self {
        Self { dimension: dimension.into(), name: name.into() }
    }
}

/// What the columns of the benchmark that tell rows apart are called in tables.
fn dimensions(benchmark: Benchmark) -> &'static [(&'static str, &'static str)] {
    match benchmark {
        Benchmark::ActivityNetQa => &[("type", "question type")],
        Benchmark::Mlvu => &[("task_type", "task type")],
        Benchmark::NextQa => &[("type", "question type")],
        Benchmark::PerceptionTest => &[("area", "area"), ("reasoning", "reasoning")],
        Benchmark::LongVideoBench => {
            &[("duration_group", "duration group"), ("question_category", "question category")]
        }
        Benchmark::VideoMme => &[
            ("duration", "duration"),
            ("domain", "domain"),
            ("sub_category", "sub-category"),
            ("task_type", "task type"),
        ],
        Benchmark::EgoSchema
        | Benchmark::EgoSchemaSubset
        | Benchmark::MvBench
        | Benchmark::VideoChatGpt
        | Benchmark::VideoDc => &[],
    }
}

/// The categories of a row, of those columns that it has; of NExT-QA also the kind that its types belong to.
pub fn groups(benchmark: Benchmark, row: &Row) -> Vec<Group> {
    let mut groups = Vec::new();
    if let (Benchmark::MvBench, Some(part)) = (benchmark, &row.part) {
        groups.push(Group::new("part", part.clone()));
    }
    for &(column, dimension) in dimensions(benchmark) {
        let name = match row.columns.get(column) {
            Some(Value::String(name)) => name.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        if benchmark == Benchmark::NextQa
            && let Some(kind) = kind_of_nextqa(&name)
        {
            groups.push(Group::new("kind", kind));
        }
        groups.push(Group::new(dimension, name));
    }
    groups
}

fn kind_of_nextqa(question_type: &str) -> Option<&'static str> {
    Some(match question_type.chars().next()? {
        'C' => "causal",
        'T' => "temporal",
        'D' => "descriptive",
        _ => return None,
    })
}

/// The name of the row's video. Of MVBench it holds the collection that the part is from, for parts of one collection
/// share videos, and collections share names.
///
/// # Errors
/// There is no such column.
pub fn video(benchmark: Benchmark, row: &Row) -> Result<String, BadColumn> {
    row.label(match benchmark {
        Benchmark::ActivityNetQa
        | Benchmark::Mlvu
        | Benchmark::PerceptionTest
        | Benchmark::VideoChatGpt
        | Benchmark::VideoDc => "video_name",
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset => "video_idx",
        Benchmark::NextQa => "video",
        Benchmark::LongVideoBench => "video_id",
        Benchmark::VideoMme => "videoID",
        Benchmark::MvBench => {
            let collection = row.part.as_deref().map_or("", collection);
            return Ok(format!("{collection}/{}", row.text("video")?));
        }
    })
}

fn collection(part: &str) -> &str {
    match part {
        "object_interaction" | "action_sequence" | "action_prediction" => "star",
        "character_order" | "object_shuffle" | "state_change" | "action_count" => "perception",
        "moving_count" | "moving_direction" | "moving_attribute" | "counterfactual_inference" | "object_existence" => {
            "clevrer"
        }
        alone => alone,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn row(part: Option<&str>, columns: Value) -> Row {
        let columns: Map<String, Value> = serde_json::from_value(columns).unwrap();
        Row { row: 0, part: part.map(str::to_owned), columns }
    }

    #[test]
    fn parts_of_one_collection_share_videos() {
        let video = |part| video(Benchmark::MvBench, &row(Some(part), json!({ "video": "video_1.mp4" }))).unwrap();
        assert_eq!(video("moving_count"), video("object_existence"));
        assert_ne!(video("moving_count"), video("action_count"));
        assert_eq!(video("scene_transition"), "scene_transition/video_1.mp4");
    }

    #[test]
    fn types_of_nextqa_belong_to_kinds() {
        let groups = groups(Benchmark::NextQa, &row(None, json!({ "type": "TP", "video": 7 })));
        let names: Vec<_> = groups.iter().map(|group| (group.dimension.as_ref(), group.name.as_str())).collect();
        assert_eq!(names, [("kind", "temporal"), ("question type", "TP")]);
        assert_eq!(video(Benchmark::NextQa, &row(None, json!({ "video": 7 }))), Ok("7".to_owned()));
    }
}
