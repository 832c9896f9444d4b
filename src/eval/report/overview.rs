//! The rows of the overview: the ten of the card, with what was run of each, and what else was run.

use super::axis::Axis;
use super::model::{Run, Standing, decimals, top};
use super::page::Report;
use super::text::number;
use super::words;
use crate::eval::Benchmark;
use crate::eval::list::facts;

/// Rows that share a scale.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) title: &'static str,
    pub(super) axis: Axis,
    pub(super) rows: Vec<Row<'a>>,
}

/// A row of the overview.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) title: String,
    benchmark: Option<Benchmark>,
    pub(super) card: Option<f64>,
    pub(super) ours: Option<Ours<'a>>,
}

/// A run, and its place in the report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) index: usize,
    pub(super) run: &'a Run,
}

/// The rows by their scales, in the order of the card.
pub(super) fn groups(report: &Report) -> Vec<Group<'_>> {
    let group = |title, end: f64| {
        let kinds = Benchmark::ALL.into_iter().map(Some).chain([None]).filter(|&kind| top(kind) == end);
        let rows: Vec<Row<'_>> = kinds.flat_map(|kind| rows(report, kind)).collect();
        Group { title, axis: Axis::around(rows.iter().flat_map(Row::values), end), rows }
    };
    let groups = [group(words::ACCURACY, 100.0), group(words::POINTS, 5.0)];
    groups.into_iter().filter(|group| !group.rows.is_empty()).collect()
}

/// A row for each run of a benchmark; one without a run where the card has a number and stands beside others.
fn rows(report: &Report, benchmark: Option<Benchmark>) -> Vec<Row<'_>> {
    let runs = report.runs.iter().enumerate().filter(|(_, run)| run.benchmark == benchmark);
    let rows: Vec<_> = runs
        .map(|(index, run)| Row {
            title: run.title(),
            benchmark,
            card: run.table.card,
            ours: Some(Ours { index, run }),
        })
        .collect();
    let card = benchmark.and_then(|benchmark| facts(benchmark).card_score);
    match rows.is_empty() && card.is_some() && report.has_card() {
        true => vec![Row { title: words::title(benchmark).to_owned(), benchmark, card, ours: None }],
        false => rows,
    }
}

impl Row<'_> {
    pub(super) fn decimals(&self) -> usize {
        decimals(self.benchmark)
    }

    /// What its plot has to have room for.
    fn values(&self) -> Vec<f64> {
        let whole = self.ours.and_then(|ours| ours.run.whole());
        let interval = whole.and_then(|whole| whole.interval).map(|interval| [interval.low, interval.high]);
        self.card.into_iter().chain(whole.map(|whole| whole.mean)).chain(interval.into_iter().flatten()).collect()
    }

    /// What its plot shows.
    pub(super) fn in_words(&self) -> String {
        let ours = match self.ours {
            Some(ours) => words::estimate(ours.run.whole(), self.decimals()),
            None => "not run".to_owned(),
        };
        let card = self.card.map(|card| format!("; the card {}", number(card, self.decimals()))).unwrap_or_default();
        format!("{}: {ours}{card}", self.title)
    }
}

/// What the whole comes to in few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Benchmarks of the card that have a figure here.
    pub(super) benchmarks: usize,
    /// Runs whose interval holds the card's number.
    pub(super) level: usize,
    /// Runs with an interval and a card's number.
    pub(super) compared: usize,
    /// Rows in figures.
    pub(super) rows: usize,
    /// Rows that are in none, by reason or because there is no word of them.
    pub(super) missing: usize,
}

impl Report {
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let has_figure = |benchmark: &Benchmark| {
            let is_card = facts(*benchmark).card_score.is_some();
            is_card && self.runs.iter().any(|run| run.benchmark == Some(*benchmark) && run.difference().is_some())
        };
        counts.benchmarks = Benchmark::ALL.iter().filter(|benchmark| has_figure(benchmark)).count();
        for run in &self.runs {
            counts.level += usize::from(run.standing() == Standing::Level);
            counts.compared += usize::from(run.standing() != Standing::Unknown);
            counts.rows += run.rows;
            counts.missing += run.table.absent.len() + run.unseen;
        }
        counts
    }

    /// Whether anything here has a number on the card; people's own questions have none.
    pub(super) fn has_card(&self) -> bool {
        self.runs.iter().any(|run| run.table.card.is_some())
    }

    /// Whether a benchmark here is not whole.
    pub(super) fn is_partial(&self) -> bool {
        self.runs.iter().any(Run::is_partial)
    }

    /// What is evaluated.
    pub(super) fn title(&self) -> String {
        let model = |run: &Run| Some(run.settings.iter().find(|(name, _)| name == "model")?.1.clone());
        let mut models: Vec<String> = self.runs.iter().filter_map(model).collect();
        models.sort();
        models.dedup();
        match models.as_slice() {
            [] => "Videos and questions".to_owned(),
            [one] => one.clone(),
            [one, other] => format!("{one} and {other}"),
            several => format!("{} models", several.len()),
        }
    }
}
