//! Which files a benchmark has, and which columns they hold: the one place that says so.
//!
//! Source: the harness's tasks (repository, config and split of each), and the listings of the repositories.

use super::columns::{self, Column};
use crate::eval::{Benchmark, Split};

/// A table of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Its name, where there are several.
    pub(super) name: Option<&'static str>,
    /// Within the publisher's folder, the first that is there counts; `*` stands for any text.
    pub(super) files: Vec<String>,
    pub(super) columns: &'static [Column],
}

impl Part {
    /// By its name in any case, or by that of the harness's task.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.is_some_and(|own| own.eq_ignore_ascii_case(name) || (own == "Generic" && name == "gen"))
    }
}

/// MVBench's subtasks, in the harness's order.
pub(super) const SUBTASKS: [&str; 20] = [
    "object_interaction",
    "action_sequence",
    "action_prediction",
    "action_localization",
    "moving_count",
    "fine_grained_pose",
    "character_order",
    "object_shuffle",
    "egocentric_navigation",
    "moving_direction",
    "episodic_reasoning",
    "fine_grained_action",
    "scene_transition",
    "state_change",
    "moving_attribute",
    "action_antonym",
    "unexpected_action",
    "counterfactual_inference",
    "object_existence",
    "action_count",
];

/// The parts of a benchmark; none where it has no such split.
pub(super) fn parts(benchmark: Benchmark, split: Split) -> Option<Vec<Part>> {
    let part = |name, files: &[&str], columns| Part {
        name,
        files: files.iter().map(|&file| file.to_owned()).collect(),
        columns,
    };
    let table = |files: &[&str], columns| Some(vec![part(None, files, columns)]);
    match (benchmark, split) {
        (Benchmark::ActivityNetQa, Split::Card) => table(&["data/test-*.parquet"], columns::ACTIVITYNETQA),
        (Benchmark::EgoSchema, Split::Card) => table(&["GENERATION/test-*.parquet"], columns::EGOSCHEMA),
        (Benchmark::EgoSchemaSubset, Split::Card) => table(&["Subset/test-*.parquet"], columns::EGOSCHEMA_SUBSET),
        (Benchmark::Mlvu, Split::Card) => table(&["mlvu/test-*.parquet"], columns::MLVU),
        (Benchmark::Mlvu, Split::Test) => {
            table(&["mlvu_test/test-*.parquet", "mlvu/test-*.parquet", "data/test-*.parquet"], columns::MLVU)
        }
        (Benchmark::MvBench, Split::Card) => {
            let subtask = |name| part(Some(name), &[&format!("json/{name}.json")], columns::MVBENCH);
            Some(SUBTASKS.map(subtask).to_vec())
        }
        (Benchmark::NextQa, Split::Card) => table(&["MC/test-*.parquet", "MC/test.csv", "test.csv"], columns::NEXTQA),
        (Benchmark::PerceptionTest, Split::Card) => {
            table(&["mc_question_val/validation-*.parquet"], columns::PERCEPTIONTEST)
        }
        (Benchmark::PerceptionTest, Split::Test) => {
            table(&["mc_question/test-*.parquet"], columns::PERCEPTIONTEST_TEST)
        }
        (Benchmark::VideoChatGpt, Split::Card) => Some(vec![
            part(Some("Generic"), &["Generic/test-*.parquet"], columns::VIDEOCHATGPT),
            part(Some("Temporal"), &["Temporal/test-*.parquet"], columns::VIDEOCHATGPT),
            part(Some("Consistency"), &["Consistency/test-*.parquet"], columns::VIDEOCHATGPT_CONSISTENCY),
        ]),
        (Benchmark::VideoDc, Split::Card) => table(&["data/test-*.parquet", "test-*.parquet"], columns::VIDEOCHATGPT),
        (Benchmark::LongVideoBench, Split::Card) => {
            let files = ["validation-*.parquet", "data/validation-*.parquet", "lvb_val.json"];
            table(&files, columns::LONGVIDEOBENCH)
        }
        (Benchmark::LongVideoBench, Split::Test) => {
            let files = ["test-*.parquet", "data/test-*.parquet", "lvb_test_wo_gt.json"];
            table(&files, columns::LONGVIDEOBENCH_TEST)
        }
        (Benchmark::VideoMme, Split::Card) => table(&["videomme/test-*.parquet"], columns::VIDEOMME),
        (
            Benchmark::ActivityNetQa
            | Benchmark::EgoSchema
            | Benchmark::EgoSchemaSubset
            | Benchmark::MvBench
            | Benchmark::NextQa
            | Benchmark::VideoChatGpt
            | Benchmark::VideoDc
            | Benchmark::VideoMme,
            Split::Test,
        ) => None,
    }
}
