//! A run as a page tells it: its figures, what is missing of them, and how they stand to the card's.

use super::judge::Judge;
use super::missing::Gap;
use super::text::{count, counted};
use super::words;
use crate::eval::interval::Estimate;
use crate::eval::judge as judging;
use crate::eval::results::Scoring;
use crate::eval::score::{Averaging, Line, Sample, Table, scale};
use crate::eval::{Benchmark, Split, data};

/// A benchmark under one set of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The benchmark; none for people's own questions.
    pub benchmark: Option<Benchmark>,
    /// Which rows.
    pub split: Split,
    /// How its answers are read.
    pub scoring: Scoring,
    /// Which of the runs of its benchmark it is, from 1, where there are several.
    pub mark: Option<usize>,
    /// The digest that its records have in common.
    pub digest: String,
    /// Its figures.
    pub table: Table,
    /// The same by how long the clips are, the shortest first; empty where that is not known.
    pub lengths: Vec<Line>,
    /// What is in no figure.
    pub gaps: Vec<Gap>,
    /// Rows whose worth only a server knows.
    pub unscored: usize,
    /// Rows that the publisher has, where that is known.
    pub published: Option<usize>,
    /// How many of them these records do not speak of.
    pub unseen: usize,
    /// Parts that the publisher has and of which there is no record.
    pub unseen_parts: Vec<&'static str>,
    /// Answers that the harness would draw at random and that nobody drew here.
    pub undrawn: usize,
    /// Rows behind the figure; of VideoChatGPT, several verdicts are about one row.
    pub rows: usize,
    /// Videos behind the figures.
    pub videos: usize,
    /// The rows behind the figures.
    pub samples: Vec<Sample>,
    /// Over what the whole averages.
    pub averaging: Averaging,
    /// The factor from a row's value to the figures.
    pub scale: f64,
    /// What the harness itself would print.
    pub harness: Vec<String>,
    /// Every setting, by its name.
    pub settings: Vec<(String, String)>,
    /// Who judged, where the benchmark is judged.
    pub judges: Vec<Judge>,
    /// Verdicts that the harness has for failures, and that no judge gave.
    pub by_failure: usize,
}

/// How our figure stands to the card's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Our whole interval is above the card's number.
    Higher,
    /// Our interval holds the card's number.
    Level,
    /// Our whole interval is below the card's number.
    Lower,
    /// There is no card's number, or no interval.
    Unknown,
}

impl Standing {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Level => "level",
            Self::Lower => "lower",
            Self::Unknown => "\u{2013}",
        }
    }
}

impl Run {
    /// What it is called.
    pub fn title(&self) -> String {
        let mut title = words::title(self.benchmark).to_owned();
        for more in words::split(self.split).map(str::to_owned).into_iter().chain(self.mark.map(|m| format!("run {m}")))
        {
            title = format!("{title}, {more}");
        }
        title
    }

    /// The end of its scale.
    pub fn top(&self) -> f64 {
        top(self.benchmark)
    }

    /// Decimals of its figures, as the card has them.
    pub fn decimals(&self) -> usize {
        decimals(self.benchmark)
    }

    /// The figure with its interval.
    pub fn whole(&self) -> Option<&Estimate> {
        self.table.whole.estimate.as_ref()
    }

    /// How far it is from the card.
    pub fn difference(&self) -> Option<f64> {
        Some(self.whole()?.mean - self.table.card?)
    }

    /// How the figure stands to the card's number.
    pub fn standing(&self) -> Standing {
        let (Some(card), Some(interval)) = (self.table.card, self.whole().and_then(|whole| whole.interval)) else {
            return Standing::Unknown;
        };
        if card > interval.high {
            Standing::Lower
        } else if card < interval.low {
            Standing::Higher
        } else {
            Standing::Level
        }
    }

    /// What a reader should know before the number.
    pub(super) fn tags(&self) -> Vec<&'static str> {
        let tags =
            [(self.is_judged(), "judged"), (self.unscored > 0, "scored by a server"), (self.is_partial(), "partial")];
        tags.into_iter().filter_map(|(holds, tag)| holds.then_some(tag)).collect()
    }

    /// Published rows that the records do not speak of, in words.
    pub(super) fn unseen_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.unseen > 0 {
            let published = counted(self.published.unwrap_or(0), "published row");
            lines.push(format!("Not in these files: {} of the {published}.", count(self.unseen)));
        }
        if !self.unseen_parts.is_empty() {
            lines.push(format!("Parts without any record: {}.", self.unseen_parts.join(", ")));
        }
        lines
    }

    /// What a reader should know of the figure.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let missing = self.table.absent.len() + self.unseen;
        if missing > 0 {
            let rows = if missing == 1 { "1 row is" } else { &format!("{} rows are", count(missing)) };
            let card = if self.table.card.is_some() { ", and the card's number is of all rows" } else { "" };
            remarks.push(format!("Partial: {rows} in no figure{card}."));
        }
        if self.scoring == Scoring::Logprob && self.benchmark.is_some() {
            remarks.push(words::LOGPROB.to_owned());
        }
        if self.unscored > 0 {
            let rows = counted(self.unscored, "answer");
            remarks.push(format!("Only the publisher's server can score {rows} here; submit them there."));
        }
        if self.table.drawn.0 > 0 {
            remarks.push(words::drawn(self.table.drawn, self.drawn_points()));
        }
        if self.undrawn > 0 {
            let answers = counted(self.undrawn, "answer");
            remarks.push(format!(
                "Counted as wrong: {answers} that the harness would draw at random; this run draws none."
            ));
        }
        if self.is_judged() {
            remarks.extend(self.judges.iter().map(words::judge));
            if self.by_failure > 0 {
                let verdicts = counted(self.by_failure, "verdict");
                remarks.push(format!("No judge gave {verdicts}: the harness has them where its judge fails."));
            }
            if self.judges.len() > 1 {
                remarks.push("Several judges are mixed in this figure.".to_owned());
            }
        }
        remarks
    }

    /// What the draws add to a figure that averages over rows.
    fn drawn_points(&self) -> Option<f64> {
        (self.averaging == Averaging::Rows).then(|| self.table.drawn_share()).flatten()
    }

    /// What the harness itself would print, in a sentence.
    pub(super) fn harness_line(&self) -> Option<String> {
        (!self.harness.is_empty()).then(|| format!("The harness itself would print: {}.", self.harness.join(", ")))
    }

    /// Whether a judge decides.
    pub fn is_judged(&self) -> bool {
        self.benchmark.is_some_and(is_judged)
    }

    /// Whether not every row that the publisher has is in the figure.
    pub fn is_partial(&self) -> bool {
        self.unseen > 0 || !self.table.is_whole()
    }
}

/// Whether a judge decides about a benchmark's answers.
pub(super) fn is_judged(benchmark: Benchmark) -> bool {
    let parts = data::parts(benchmark).into_iter().map(Some).chain([None]);
    parts.into_iter().any(|part| judging::sides(benchmark, part).is_some())
}

/// The end of a benchmark's scale.
pub(super) fn top(benchmark: Option<Benchmark>) -> f64 {
    // A judge's scores are not scaled.
    if benchmark.map_or(100.0, scale) < 100.0 { 5.0 } else { 100.0 }
}

/// Decimals of a benchmark's figures, as the card has them.
pub(super) fn decimals(benchmark: Option<Benchmark>) -> usize {
    if top(benchmark) < 100.0 { 2 } else { 1 }
}
