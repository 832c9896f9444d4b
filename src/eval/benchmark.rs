//! The ten benchmarks of the model card, the trees of the harness that told them apart, and a row of their data.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// A benchmark, by the harness's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Benchmark {
    /// Open questions, judged.
    ActivityNetQa,
    /// Five options; answers of the full set are known to a server only.
    EgoSchema,
    /// The 500 questions of EgoSchema whose answers are public.
    EgoSchemaSubset,
    /// Long videos, options.
    Mlvu,
    /// Twenty tasks, options.
    MvBench,
    /// Five options (multiple choice), or open.
    NextQa,
    /// Three options.
    PerceptionTest,
    /// Open questions, judged on five sides.
    VideoChatGpt,
    /// Detailed captions, judged.
    VideoDc,
    /// Long videos with subtitles, options.
    LongVideoBench,
    /// Four options, three lengths of video.
    VideoMme,
}

impl Benchmark {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ActivityNetQa,
        Self::EgoSchema,
        Self::EgoSchemaSubset,
        Self::Mlvu,
        Self::MvBench,
        Self::NextQa,
        Self::PerceptionTest,
        Self::VideoChatGpt,
        Self::VideoDc,
        Self::LongVideoBench,
        Self::VideoMme,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActivityNetQa => "activitynetqa",
            Self::EgoSchema => "egoschema",
            Self::EgoSchemaSubset => "egoschema_subset",
            Self::Mlvu => "mlvu",
            Self::MvBench => "mvbench",
            Self::NextQa => "nextqa",
            Self::PerceptionTest => "perceptiontest",
            Self::VideoChatGpt => "videochatgpt",
            Self::VideoDc => "videodc",
            Self::LongVideoBench => "longvideobench",
            Self::VideoMme => "videomme",
        }
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no benchmark's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", Benchmark::ALL.map(Benchmark::name).join(", "))]
pub struct NoBenchmark;

impl FromStr for Benchmark {
    type Err = NoBenchmark;

    fn from_str(text: &str) -> Result<Self, NoBenchmark> {
        Self::ALL.into_iter().find(|benchmark| benchmark.name() == text).ok_or(NoBenchmark)
    }
}

/// A state of the harness's tree, where prompts or parsers changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Harness {
    /// The authors' tree of September 2024.
    #[default]
    September2024,
    /// October 2024.
    October2024,
    /// 28 October 2024.
    LateOctober2024,
    /// Today's.
    Head,
}

impl Harness {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::September2024, Self::October2024, Self::LateOctober2024, Self::Head];

    /// Its name, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::September2024 => "2024-09",
            Self::October2024 => "2024-10",
            Self::LateOctober2024 => "2024-10-28",
            Self::Head => "head",
        }
    }
}

impl fmt::Display for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no state of the harness's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", Harness::ALL.map(Harness::name).join(", "))]
pub struct NoHarness;

impl FromStr for Harness {
    type Err = NoHarness;

    fn from_str(text: &str) -> Result<Self, NoHarness> {
        Self::ALL.into_iter().find(|harness| harness.name() == text).ok_or(NoHarness)
    }
}

/// Which rows of a benchmark are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Split {
    /// Those behind the card's number, whatever the publisher calls their split.
    #[default]
    Card,
    /// The publisher's other test rows.
    Test,
}

impl Split {
    /// Its name, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no split's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `card` or `test`")]
pub struct NoSplit;

impl FromStr for Split {
    type Err = NoSplit;

    fn from_str(text: &str) -> Result<Self, NoSplit> {
        [Self::Card, Self::Test].into_iter().find(|split| split.name() == text).ok_or(NoSplit)
    }
}

/// A row of a benchmark's data.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place within its part, counted from 0 in the order of the file.
    pub row: usize,
    /// The part it is of, where a benchmark has several.
    pub part: Option<String>,
    /// Its columns, as the harness sees them.
    pub columns: Map<String, Value>,
}

/// A column that a row has not, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: column `{column}` is not {expected}")]
pub struct BadColumn {
    /// The row.
    pub row: usize,
    /// The column.
    pub column: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Row {
    /// The text of a column.
    ///
    /// # Errors
    /// There is no such text.
    pub fn text(&self, column: &str) -> Result<&str, BadColumn> {
        self.columns.get(column).and_then(Value::as_str).ok_or_else(|| self.bad(column, "text"))
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// There is no such list.
    pub fn texts(&self, column: &str) -> Result<Vec<&str>, BadColumn> {
        let list = self.columns.get(column).and_then(Value::as_array);
        let texts = list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        texts.ok_or_else(|| self.bad(column, "a list of texts"))
    }

    /// The number of a column.
    ///
    /// # Errors
    /// There is no such number.
    pub fn number(&self, column: &str) -> Result<f64, BadColumn> {
        self.columns.get(column).and_then(Value::as_f64).ok_or_else(|| self.bad(column, "a number"))
    }

    /// A name, which publishers write as text or as a whole number.
    ///
    /// # Errors
    /// There is neither.
    pub fn label(&self, column: &str) -> Result<String, BadColumn> {
        match self.columns.get(column) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
            _ => Err(self.bad(column, "text or a whole number")),
        }
    }

    /// The complaint about a column of this row.
    pub fn bad(&self, column: &str, expected: &'static str) -> BadColumn {
        BadColumn { row: self.row, column: column.to_owned(), expected }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for benchmark in Benchmark::ALL {
            assert_eq!(benchmark.to_string().parse(), Ok(benchmark));
        }
        for harness in Harness::ALL {
            assert_eq!(harness.to_string().parse(), Ok(harness));
        }
        assert_eq!(("card".parse(), "test".parse()), (Ok(Split::Card), Ok(Split::Test)));
        assert_eq!("mlvu_dev".parse::<Benchmark>().unwrap_err().to_string().matches(", ").count(), 10);
        assert_eq!("2024-11".parse::<Harness>(), Err(NoHarness));
        assert_eq!("validation".parse::<Split>(), Err(NoSplit));
    }

    #[test]
    fn columns_are_what_they_should_be_or_named() {
        let Value::Object(columns) = json!({ "a": "x", "n": 7, "f": 1.5, "l": ["x", "y"], "m": ["x", 1] }) else {
            panic!("an object")
        };
        let row = Row { row: 3, part: None, columns };
        assert_eq!((row.text("a"), row.number("f"), row.texts("l")), (Ok("x"), Ok(1.5), Ok(vec!["x", "y"])));
        assert_eq!((row.label("a"), row.label("n")), (Ok("x".to_owned()), Ok("7".to_owned())));
        assert_eq!(row.texts("m").unwrap_err().to_string(), "row 3: column `m` is not a list of texts");
        assert!(row.label("f").is_err() && row.text("n").is_err() && row.number("none").is_err());
    }
}
