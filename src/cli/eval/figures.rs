//! What an evaluation prints: the figure with its interval beside the card's, categories, settings, and what is
//! missing; or all of it as one JSON object, whose keys `docs/json.md` has.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use llava_video::eval::results::{self, Eval, PartFigures, ResultRecord};
use llava_video::eval::score::{Absence, Absent, Line, Table};
use llava_video::size::counted;
use serde_json::{Map, Value, json};

use crate::cli::output::Printer;

/// So many rows are named of those that are missing for one reason.
const NAMED: usize = 5;

/// Which rows the records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// All of them.
    Whole,
    /// Those of one process among several.
    Share(String),
}

/// The figures of an evaluation.
pub(crate) struct Figures<'f> {
    common: Option<&'f Eval>,
    table: Table,
    harness: Vec<PartFigures>,
    /// Rows with an answer, and all rows.
    answered: usize,
    rows: usize,
    unscored: usize,
    /// Answers that cannot be read, where the harness draws a letter and nobody drew one.
    undrawn: usize,
    missing_parts: &'f [&'static str],
    place: Place,
    /// Whether what is there is scored although something is missing.
    is_partial: bool,
}

impl<'f> Figures<'f> {
    /// Over records of one run; `absent` are rows that have none.
    pub(crate) fn of(
        records: &'f [ResultRecord],
        absent: Vec<Absent>,
        missing_parts: &'f [&'static str],
        place: Place,
        is_partial: bool,
    ) -> Self {
        let common = records.first().map(|record| &record.eval);
        let has_answer = |record: &&ResultRecord| record.status.is_done() && record.eval.output.is_some();
        let (answered, rows) = (records.iter().filter(has_answer).count(), records.len() + absent.len());
        let mut outcome = results::of_records(records);
        outcome.absent.extend(absent);
        let (unscored, harness) = (outcome.unscored, results::harness_figures(records));
        let is_undrawn = |eval: &Eval| {
            eval.drawn.is_none() && eval.parsed.as_ref().is_some_and(|parsed| parsed.random_from().is_some())
        };
        let undrawn = records.iter().filter(|record| is_undrawn(&record.eval)).count();
        let table = match common {
            Some(common) => outcome.table(common),
            None => Table { absent: outcome.absent, ..results::figures(&[]) },
        };
        Self { common, table, harness, answered, rows, unscored, undrawn, missing_parts, place, is_partial }
    }

    /// Whether every row has an answer, be it judged or not.
    pub(crate) fn is_whole(&self) -> bool {
        let has_answer = |absent: &Absent| absent.why == Absence::NoVerdict;
        self.missing_parts.is_empty() && self.table.absent.iter().all(has_answer)
    }

    /// Whether every row that has an answer has a judge's verdict, where judges decide.
    pub(crate) fn is_judged(&self) -> bool {
        self.table.absent.iter().all(|absent| absent.why != Absence::NoVerdict)
    }

    /// Whether there is a figure to show.
    fn is_shown(&self) -> bool {
        let is_all = self.is_whole() && self.is_judged() && self.place == Place::Whole;
        self.table.whole.rows > 0 && (self.is_partial || is_all)
    }

    /// Prints tables, or with `json` one object.
    pub(crate) fn print(
        &self,
        output: &Path,
        submission: Option<&Path>,
        json: bool,
        printer: &mut Printer,
    ) -> Result<()> {
        if json {
            return printer.line(&self.object(Some(output), submission).to_string());
        }
        self.lines(submission).iter().try_for_each(|line| printer.line(line))
    }

    /// Lines for people.
    pub(crate) fn lines(&self, submission: Option<&Path>) -> Vec<String> {
        let mut lines = vec![self.title()];
        if self.is_shown() {
            lines.extend(table(&self.table));
            lines.extend(self.beside());
        }
        lines.extend(self.notes());
        if let Some(path) = submission {
            lines.push(format!("answers to hand in: {}", path.display()));
        }
        lines.extend(self.common.map(settings));
        lines
    }

    /// What it is of, and how much of it is there.
    fn title(&self) -> String {
        let name = self.common.map_or("nothing", Eval::name);
        let share = match &self.place {
            Place::Whole => String::new(),
            Place::Share(share) => format!(", share {share}"),
        };
        let how = if self.is_partial && !self.is_whole() { "partial, " } else { "" };
        format!("{name}{share}: {how}{} of {} answered", self.answered, counted(self.rows, "row"))
    }

    /// The card's number, what was drawn, what the harness itself would print.
    fn beside(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(card) = self.table.card {
            lines.push(format!("model card: {card}"));
        }
        if self.table.drawn.0 > 0 {
            let (rows, right) = self.table.drawn;
            let share = self.table.drawn_share().unwrap_or_default();
            let rows = counted(rows, "answer");
            lines.push(format!("drawn at random: {rows}, of which {right} are right, {share:.1} of the score"));
        }
        if self.undrawn > 0 {
            let rows = counted(self.undrawn, "answer");
            lines
                .push(format!("{rows} that cannot be read count as wrong; the harness draws a letter at random there"));
        }
        for PartFigures { part, aggregate, .. } in &self.harness {
            let part = part.iter().map(|part| format!("{part} ")).collect::<String>();
            match aggregate {
                Ok(aggregate) => lines.extend(
                    aggregate
                        .figures
                        .iter()
                        .map(|figure| format!("the harness's {part}{}: {}", figure.name, figure.printed())),
                ),
                Err(error) => lines.push(format!("the harness's {part}figure: none, as {error}")),
            }
        }
        if let Some(mean) = results::harness_mean(&self.harness) {
            lines.push(format!("the harness's mean of parts: {mean:.4}"));
        }
        lines
    }

    fn notes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.unscored > 0 {
            lines.push(format!("{} whose right answer is not known here", counted(self.unscored, "row")));
        }
        for (why, absent) in by_reason(&self.table.absent) {
            let names: Vec<String> = absent.iter().take(NAMED).map(|absent| named(absent)).collect();
            let more = absent.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("{} {}: {}{more}", counted(absent.len(), "row"), said(why), names.join(", ")));
        }
        if !self.missing_parts.is_empty() {
            lines.push(format!("parts without data: {}", self.missing_parts.join(", ")));
        }
        if !self.is_shown() {
            lines.extend(self.reason().map(str::to_owned));
        }
        lines
    }

    /// Why there is no figure, and what gives one.
    fn reason(&self) -> Option<&'static str> {
        if !self.is_whole() && !self.is_partial {
            return Some("no score, as rows are missing; --partial scores those that are there");
        }
        if !self.is_judged() {
            return Some("no score yet: a judge decides, whom `eval judge` asks");
        }
        if matches!(self.place, Place::Share(_)) && !self.is_partial {
            return Some("no score of a share; `batch merge` joins the outputs of all");
        }
        None
    }

    /// One object for programs.
    pub(crate) fn object(&self, output: Option<&Path>, submission: Option<&Path>) -> Value {
        let Table { whole, lines, card, absent, drawn } = &self.table;
        let shown = self.is_shown();
        let text = |value: Option<String>| json!(value);
        let reasons: BTreeMap<&str, usize> = by_reason(absent).map(|(why, rows)| (key(why), rows.len())).collect();
        let name =
            |absent: &Absent| json!({ "part": absent.part, "row": absent.row, "why": absent.why, "name": absent.name });
        json!({
            "benchmark": self.common.and_then(|common| common.benchmark).map(|benchmark| benchmark.name()),
            "harness": text(self.common.and_then(|common| common.harness).map(|harness| harness.to_string())),
            "split": text(self.common.map(|common| common.split.to_string())),
            "protocol": text(self.common.and_then(|common| common.protocol).map(|protocol| protocol.to_string())),
            "scoring": text(self.common.map(|common| common.scoring.to_string())),
            "shard": match &self.place { Place::Whole => None, Place::Share(share) => Some(share) },
            "is_complete": self.is_whole(),
            "rows": self.rows,
            "answered": self.answered,
            "scored": whole.rows,
            "left_out": whole.left_out,
            "unscored": self.unscored,
            "absent": reasons,
            "absent_rows": absent.iter().map(name).collect::<Vec<_>>(),
            "missing_parts": self.missing_parts,
            "score": whole.estimate.filter(|_| shown).map(|estimate| estimate.mean),
            "interval": whole.estimate.filter(|_| shown).and_then(|estimate| estimate.interval),
            "videos": whole.estimate.map(|estimate| estimate.clusters),
            "card": card,
            "draws": { "rows": drawn.0, "right": drawn.1, "share": self.table.drawn_share() },
            "undrawn": self.undrawn,
            "categories": lines.iter().filter(|_| shown).map(category).collect::<Vec<_>>(),
            "harness_figures": self.harness.iter().filter(|_| shown).map(part).collect::<Vec<_>>(),
            "harness_mean": results::harness_mean(&self.harness).filter(|_| shown),
            "settings": self.common.map(|common| &common.settings),
            "output": output.map(Path::to_string_lossy),
            "submission": submission.map(Path::to_string_lossy),
        })
    }
}

fn category(line: &Line) -> Value {
    json!({
        "dimension": line.group.as_ref().map(|group| &group.dimension),
        "name": line.group.as_ref().map(|group| &group.name),
        "rows": line.rows,
        "left_out": line.left_out,
        "score": line.estimate.map(|estimate| estimate.mean),
        "interval": line.estimate.and_then(|estimate| estimate.interval),
        "videos": line.estimate.map(|estimate| estimate.clusters),
    })
}

fn part(figures: &PartFigures) -> Value {
    let values = figures.aggregate.as_ref().map(|aggregate| {
        aggregate.figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.value))).collect::<Map<_, _>>()
    });
    json!({
        "part": figures.part,
        "rows": figures.rows,
        "figures": values.as_ref().ok(),
        "log": figures.aggregate.as_ref().map_or(&[][..], |aggregate| &aggregate.log),
        "reason": values.as_ref().err().map(ToString::to_string),
    })
}

/// Names, numbers of rows, means and intervals in columns.
fn table(table: &Table) -> Vec<String> {
    let mut rows = vec![("score".to_owned(), &table.whole)];
    let mut dimension = None;
    let mut headings = Vec::new();
    for line in &table.lines {
        let Some(group) = &line.group else { continue };
        if dimension.as_ref() != Some(&group.dimension) {
            dimension = Some(group.dimension.clone());
            headings.push((rows.len(), group.dimension.clone()));
        }
        rows.push((format!("  {}", group.name), line));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{:width$}  {:>6}  {:>6}  95 % interval", "", "n", "mean")];
    for (place, (name, line)) in rows.iter().enumerate() {
        lines.extend(headings.iter().find(|(at, _)| *at == place).map(|(_, dimension)| dimension.to_string()));
        lines.push(figure(name, width, line));
    }
    lines
}

fn figure(name: &str, width: usize, line: &Line) -> String {
    let mean = line.estimate.map_or_else(|| "-".to_owned(), |estimate| format!("{:.2}", estimate.mean));
    let interval = match line.estimate.and_then(|estimate| estimate.interval) {
        Some(interval) => format!("{:.2} to {:.2}", interval.low, interval.high),
        None => "-".to_owned(),
    };
    let left_out = if line.left_out > 0 { format!(", {} left out", line.left_out) } else { String::new() };
    format!("{name:width$}  {:>6}  {mean:>6}  {interval}{left_out}", line.rows)
}

fn by_reason(absent: &[Absent]) -> impl Iterator<Item = (Absence, Vec<&Absent>)> {
    let mut reasons: BTreeMap<Absence, Vec<&Absent>> = BTreeMap::new();
    for one in absent {
        reasons.entry(one.why).or_default().push(one);
    }
    reasons.into_iter()
}

/// In words, after the number of rows.
fn said(why: Absence) -> &'static str {
    match why {
        Absence::NoOutput => "without an answer",
        Absence::NoVideo => "without a video",
        Absence::FailedClip => "failed",
        Absence::NoVerdict => "without a judge's verdict",
    }
}

fn key(why: Absence) -> &'static str {
    match why {
        Absence::NoOutput => "no_output",
        Absence::NoVideo => "no_video",
        Absence::FailedClip => "failed_clip",
        Absence::NoVerdict => "no_verdict",
    }
}

fn named(absent: &Absent) -> String {
    let part = absent.part.iter().map(|part| format!("{part}/")).collect::<String>();
    match absent.name.is_empty() || absent.why == Absence::NoVerdict {
        true => format!("{part}{}", absent.row),
        false => format!("{part}{} ({})", absent.row, absent.name),
    }
}

/// Every setting on one line.
fn settings(common: &Eval) -> String {
    let mut all = vec![format!("scoring {}", common.scoring)];
    all.extend(common.protocol.map(|protocol| format!("protocol {protocol}")));
    all.extend(common.harness.map(|harness| format!("harness {harness}")));
    all.push(format!("split {}", common.split));
    all.extend(common.settings.iter().filter(|(_, value)| !is_nothing(value)).map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{} {value}", name.replace('_', " "))
    }));
    format!("settings: {}", all.join(", "))
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
