//! The columns of each benchmark, and what is in them.
//!
//! Source: the harness's tasks, and the files that their publishers offer. A column whose type could not be established
//! takes whole numbers and text.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    /// A number with or without a fraction.
    Float,
    IntOrText,
    /// At least one text.
    Texts,
    /// Texts that no prompt needs: there may be none.
    Tags,
    /// Nothing looks at it.
    Any,
}

impl Kind {
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::IntOrText => "a whole number or text",
            Self::Texts | Self::Tags => "a list of texts",
            Self::Any => "anything",
        }
    }
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// It may be missing or null.
    pub(super) optional: bool,
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn perhaps(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

use Kind::{Any, Float, Int, IntOrText, Tags, Text, Texts};

pub(super) const ACTIVITYNETQA: &[Column] = &[
    always("video_name", Text),
    always("question", Text),
    always("answer", Text),
    always("question_id", Text),
    always("type", IntOrText),
];

/// The answers of the full set are known to a server only.
pub(super) const EGOSCHEMA: &[Column] = &[
    always("question_idx", Text),
    always("question", Text),
    always("video_idx", Text),
    always("option", Texts),
    perhaps("answer", IntOrText),
];

pub(super) const EGOSCHEMA_SUBSET: &[Column] = &[
    always("question_idx", Text),
    always("question", Text),
    always("video_idx", Text),
    always("option", Texts),
    always("answer", IntOrText),
];

pub(super) const MLVU: &[Column] = &[
    always("video_name", Text),
    always("duration", Float),
    always("question", Text),
    always("candidates", Tags),
    always("answer", Text),
    always("task_type", Text),
    always("question_id", Text),
];

/// Only some subtasks have the last four.
pub(super) const MVBENCH: &[Column] = &[
    always("video", Text),
    always("question", Text),
    always("candidates", Texts),
    always("answer", Text),
    perhaps("start", Float),
    perhaps("end", Float),
    perhaps("fps", Any),
    perhaps("subtitle", Any),
];

pub(super) const NEXTQA: &[Column] = &[
    always("video", IntOrText),
    always("frame_count", IntOrText),
    always("width", IntOrText),
    always("height", IntOrText),
    always("question", Text),
    always("answer", Int),
    always("qid", Int),
    always("type", Text),
    always("a0", Text),
    always("a1", Text),
    always("a2", Text),
    always("a3", Text),
    always("a4", Text),
];

pub(super) const PERCEPTIONTEST: &[Column] = &[
    always("video_name", Text),
    always("question", Text),
    always("question_id", IntOrText),
    always("options", Texts),
    always("answer_id", IntOrText),
    always("area", Text),
    always("reasoning", Text),
    always("tag", Tags),
];

/// What the submission needs; the rest is kept back.
pub(super) const PERCEPTIONTEST_TEST: &[Column] = &[
    always("video_name", Text),
    always("question", Text),
    always("question_id", IntOrText),
    always("options", Texts),
    perhaps("answer_id", IntOrText),
    perhaps("area", Text),
    perhaps("reasoning", Text),
    perhaps("tag", Tags),
];

/// Also of `videodc`.
pub(super) const VIDEOCHATGPT: &[Column] =
    &[always("video_name", Text), always("question", Text), always("answer", Text)];

pub(super) const VIDEOCHATGPT_CONSISTENCY: &[Column] =
    &[always("video_name", Text), always("question_1", Text), always("question_2", Text), always("answer", Text)];

/// `position` is not in the hub's tables.
pub(super) const LONGVIDEOBENCH: &[Column] = &longvideobench(always("correct_choice", Int));

/// The answers of the test split are kept back.
pub(super) const LONGVIDEOBENCH_TEST: &[Column] = &longvideobench(perhaps("correct_choice", Int));

const fn longvideobench(correct_choice: Column) -> [Column; 20] {
    [
        always("video_id", Text),
        always("question", Text),
        always("question_wo_referring_query", Text),
        always("option0", Text),
        always("option1", Text),
        always("option2", Text),
        always("option3", Text),
        always("option4", Text),
        correct_choice,
        perhaps("position", Any),
        always("topic_category", Text),
        always("question_category", Text),
        always("level", Text),
        always("id", Text),
        always("video_path", Text),
        always("subtitle_path", Text),
        always("duration_group", Int),
        always("starting_timestamp_for_subtitles", Float),
        always("duration", Float),
        always("view_count", IntOrText),
    ]
}

pub(super) const VIDEOMME: &[Column] = &[
    always("video_id", Text),
    always("duration", Text),
    always("domain", Text),
    always("sub_category", Text),
    always("url", Text),
    always("videoID", Text),
    always("question_id", Text),
    always("task_type", Text),
    always("question", Text),
    always("options", Texts),
    always("answer", Text),
];
