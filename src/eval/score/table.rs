//! Tables: figures by category with their numbers of rows and intervals, and what is not in them.

use std::collections::HashMap;

use super::groups::Group;
use super::mlvu;
use super::scored::Scored;
use crate::eval::interval::{Estimate, Observation, estimate};
use crate::eval::{Benchmark, Harness, Split};

/// What a row adds to a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its place within its part.
    pub row: usize,
    /// Its part; of VideoChatGPT the side that is judged.
    pub part: Option<String>,
    /// Its video.
    pub video: String,
    /// Its categories.
    pub groups: Vec<Group>,
    /// 0 or 1, or a judge's score; `None` where the harness leaves the row out of the denominator.
    pub value: Option<f64>,
}

impl Sample {
    /// The sample of a row whose right answer is known.
    pub fn of(scored: &Scored) -> Option<Self> {
        let is_correct = scored.is_correct?;
        Some(Self {
            row: scored.row,
            part: scored.part.clone(),
            video: scored.video.clone(),
            groups: scored.groups.clone(),
            value: scored.is_counted.then(|| f64::from(u8::from(is_correct))),
        })
    }
}

/// Over what the card's figure averages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Averaging {
    /// Over rows.
    Rows,
    /// Over the means of the parts that are there.
    Parts,
    /// Over the means of these names of a dimension, 0 where one has no rows.
    Names {
        /// The dimension.
        dimension: &'static str,
        /// The names.
        names: &'static [&'static str],
    },
}

/// Over what the figure of a benchmark averages.
pub fn averaging(benchmark: Benchmark, harness: Harness, split: Split) -> Averaging {
    match benchmark {
        Benchmark::MvBench | Benchmark::VideoChatGpt => Averaging::Parts,
        Benchmark::Mlvu => match mlvu::classes(harness, split) {
            Some(names) => Averaging::Names { dimension: "task type", names },
            None => Averaging::Rows,
        },
        Benchmark::ActivityNetQa
        | Benchmark::EgoSchema
        | Benchmark::EgoSchemaSubset
        | Benchmark::NextQa
        | Benchmark::PerceptionTest
        | Benchmark::VideoDc
        | Benchmark::LongVideoBench
        | Benchmark::VideoMme => Averaging::Rows,
    }
}

/// Why a row is in no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Its output is not there.
    NoOutput,
    /// Its video is not there.
    NoVideo,
    /// Its clip failed.
    FailedClip,
    /// Its judge gave no verdict, or none that can be read.
    NoVerdict,
}

/// A row that is in no figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its place within its part.
    pub row: usize,
    /// Its part.
    pub part: Option<String>,
    /// Why.
    pub why: Absence,
    /// What names it: the video's path, the failure.
    pub name: String,
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Line {
    /// The category; `None` for the whole.
    pub group: Option<Group>,
    /// Rows of it that count.
    pub rows: usize,
    /// Rows of it that the harness leaves out of the denominator.
    pub left_out: usize,
    /// The mean, in the card's scale; `None` where no row counts.
    pub estimate: Option<Estimate>,
}

/// A benchmark's figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The whole, averaged as the harness does.
    pub whole: Line,
    /// The categories, by dimension and name.
    pub lines: Vec<Line>,
    /// The card's number in the same scale.
    pub card: Option<f64>,
    /// Rows that are in no figure.
    pub absent: Vec<Absent>,
    /// Rows whose answer was drawn, and how many of those are right by that.
    pub drawn: (usize, usize),
}

impl Table {
    /// Whether every row is in the figures.
    pub fn is_whole(&self) -> bool {
        self.absent.is_empty()
    }

    /// What the draws add to the figure, in its scale, where it averages over rows; `None` without rows.
    pub fn drawn_share(&self) -> Option<f64> {
        let rows = (self.whole.rows > 0).then_some(self.whole.rows as f64)?;
        Some(100.0 * self.drawn.1 as f64 / rows)
    }
}

/// The factor from a sample's value to the card's scale: per cent, or a judge's 0 to 5.
pub fn scale(benchmark: Benchmark) -> f64 {
    match benchmark {
        Benchmark::VideoChatGpt | Benchmark::VideoDc => 1.0,
        _ => 100.0,
    }
}

/// The table of `samples`. Rows that are not among them are to be named in `absent`.
pub fn table(
    samples: &[Sample],
    absent: Vec<Absent>,
    averaging: &Averaging,
    scale: f64,
    card: Option<f64>,
    drawn: (usize, usize),
) -> Table {
    let all: Vec<&Sample> = samples.iter().collect();
    let mut by_group: HashMap<Group, Vec<&Sample>> = HashMap::new();
    for sample in samples {
        let part = sample.part.iter().map(|part| Group::new("part", part.clone()));
        let part = part.filter(|part| !sample.groups.contains(part));
        for group in part.chain(sample.groups.iter().cloned()) {
            by_group.entry(group).or_default().push(sample);
        }
    }
    let mut lines: Vec<Line> =
        by_group.into_iter().map(|(group, samples)| line(Some(group), &samples, &Averaging::Rows, scale)).collect();
    lines.sort_by(|a, b| order(a).cmp(&order(b)));
    Table { whole: line(None, &all, averaging, scale), lines, card, absent, drawn }
}

/// Numbers stand in the order of their values.
fn order(line: &Line) -> Option<(&str, u64, &str)> {
    let group = line.group.as_ref()?;
    Some((&group.dimension, group.name.parse().unwrap_or(u64::MAX), &group.name))
}

fn line(group: Option<Group>, samples: &[&Sample], averaging: &Averaging, scale: f64) -> Line {
    let (observations, classes) = observations(samples, averaging);
    let estimate = estimate(&observations, classes).map(|estimate| estimate.scaled(scale));
    Line { group, rows: observations.len(), left_out: samples.len() - observations.len(), estimate }
}

/// The values that count, with the classes that the figure averages over, and how many classes there are.
pub(crate) fn observations<'a>(samples: &[&'a Sample], averaging: &Averaging) -> (Vec<Observation<'a>>, usize) {
    let mut parts: Vec<&Option<String>> = samples.iter().map(|sample| &sample.part).collect();
    parts.sort();
    parts.dedup();
    let class = |sample: &Sample| match averaging {
        Averaging::Rows => Some(0),
        Averaging::Parts => parts.iter().position(|&part| *part == sample.part),
        Averaging::Names { dimension, names } => {
            let group = sample.groups.iter().find(|group| group.dimension == *dimension)?;
            names.iter().position(|&name| *name == group.name)
        }
    };
    let classes = match averaging {
        Averaging::Rows => 1,
        Averaging::Parts => parts.len(),
        Averaging::Names { names, .. } => names.len(),
    };
    let observation = |&sample: &&'a Sample| {
        Some(Observation { cluster: &sample.video, class: class(sample)?, value: sample.value? })
    };
    (samples.iter().filter_map(observation).collect(), classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(row: usize, part: Option<&str>, video: &str, name: &str, value: Option<f64>) -> Sample {
        let groups = vec![Group::new("task type", name)];
        Sample { row, part: part.map(str::to_owned), video: video.to_owned(), groups, value }
    }

    fn made(samples: &[Sample], averaging: &Averaging) -> Table {
        table(samples, Vec::new(), averaging, 100.0, Some(58.4), (0, 0))
    }

    #[test]
    fn rows_that_the_harness_leaves_out_are_counted() {
        let samples = [
            sample(0, None, "a", "x", Some(1.0)),
            sample(1, None, "b", "x", None),
            sample(2, None, "c", "y", Some(0.0)),
        ];
        let table = made(&samples, &Averaging::Rows);
        assert_eq!((table.whole.rows, table.whole.left_out), (2, 1));
        assert_eq!(table.whole.estimate.unwrap().mean, 50.0);
        let lines: Vec<_> = table.lines.iter().map(|line| (line.rows, line.left_out)).collect();
        assert_eq!(lines, [(1, 1), (1, 0)]);
    }

    #[test]
    fn parts_weigh_alike_however_large_they_are() {
        let mut samples = vec![sample(0, Some("p"), "a", "x", Some(1.0))];
        samples.extend((0..3).map(|row| sample(row, Some("q"), "b", "x", Some(0.0))));
        let table = made(&samples, &Averaging::Parts);
        assert_eq!(table.whole.estimate.unwrap().mean, 50.0);
        assert_eq!(made(&samples, &Averaging::Rows).whole.estimate.unwrap().mean, 25.0);
        assert_eq!(table.lines.len(), 3);
    }

    #[test]
    fn names_without_rows_weigh_too() {
        let averaging = Averaging::Names { dimension: "task type", names: &["x", "y"] };
        let table = made(&[sample(0, None, "a", "x", Some(1.0)), sample(1, None, "a", "z", Some(1.0))], &averaging);
        assert_eq!(table.whole.estimate.unwrap().mean, 50.0);
        // A type that the harness does not know is in no class of it.
        assert_eq!((table.whole.rows, table.whole.left_out), (1, 1));
    }

    #[test]
    fn numbers_stand_in_order() {
        let samples: Vec<_> = ["600", "15", "3600", "60"].map(|name| sample(0, None, "a", name, Some(1.0))).into();
        let names: Vec<_> =
            made(&samples, &Averaging::Rows).lines.into_iter().map(|line| line.group.unwrap().name).collect();
        assert_eq!(names, ["15", "60", "600", "3600"]);
    }

    #[test]
    fn draws_have_their_share() {
        let samples: Vec<_> = (0..4).map(|row| sample(row, None, "a", "x", Some(1.0))).collect();
        let drawn = table(&samples, Vec::new(), &Averaging::Rows, 100.0, None, (3, 1));
        assert_eq!(drawn.drawn_share(), Some(25.0));
        assert!(drawn.is_whole());
    }
}
