//! The figures of a run as `eval score` and `eval judge` print them: tables for people, one object for programs.

use llava_video::eval::results::{Eval, PartFigures, ResultRecord, figures, harness_figures, harness_mean, outcome};
use llava_video::eval::score::{Absence, Absent, AggregateError, Group, Line, Table};
use llava_video::size::counted;
use serde_json::{Value, json};

use crate::cli::columns::aligned;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

/// Rows that a message names.
const NAMED: usize = 5;

/// What is known beside the records.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Parts whose data is not there.
    pub(super) missing_parts: &'a [&'static str],
    /// Whether figures are wanted of fewer rows than all.
    pub(super) is_partial: bool,
    /// Whether verdicts are still to come, so that nobody misses them.
    pub(super) is_before_judge: bool,
}

/// The figures of a run.
pub(super) struct Figures<'a> {
    records: &'a [ResultRecord],
    given: Given<'a>,
    table: Table,
    harness: Vec<PartFigures>,
    unscored: usize,
    drawable: usize,
}

impl<'a> Figures<'a> {
    pub(super) fn of(records: &'a [ResultRecord], given: Given<'a>) -> Self {
        let drawable = |record: &&ResultRecord| {
            let eval = &record.eval;
            eval.drawn.is_none() && eval.parsed.as_ref().is_some_and(|parsed| parsed.random_from().is_some())
        };
        Self {
            records,
            given,
            table: figures(records),
            harness: harness_figures(records),
            unscored: outcome(records).unscored,
            drawable: records.iter().filter(drawable).count(),
        }
    }

    fn common(&self) -> Option<&Eval> {
        self.records.first().map(|record| &record.eval)
    }

    /// Rows that are in no figure and should be.
    fn absent(&self) -> Vec<&Absent> {
        let is_missed = |absent: &&Absent| !self.given.is_before_judge || absent.why != Absence::NoVerdict;
        self.table.absent.iter().filter(is_missed).collect()
    }

    /// Whether the figures are over all rows, or fewer are enough.
    fn are_made(&self) -> bool {
        self.given.is_partial || self.absent().is_empty()
    }

    /// One object, with `more` of its keys.
    pub(super) fn object(&self, more: Value) -> Value {
        let (common, table) = (self.common(), &self.table);
        let lines = std::iter::once(&table.whole).chain(&table.lines).filter(|line| line.rows + line.left_out > 0);
        let figures: Vec<Value> = if self.are_made() { lines.map(figure).collect() } else { Vec::new() };
        let harness: Vec<&PartFigures> = if self.are_made() { self.harness.iter().collect() } else { Vec::new() };
        let mean = if self.are_made() { harness_mean(&self.harness) } else { None };
        let log: Vec<&String> =
            harness.iter().filter_map(|part| Some(&part.aggregate.as_ref().ok()?.log)).flatten().collect();
        let errors = harness.iter().filter_map(|part| Some(error(part.aggregate.as_ref().err()?)));
        let mut object = json!({
            "benchmark": common.map(Eval::name),
            "harness": common.and_then(|eval| eval.harness).map(|harness| harness.name()),
            "split": common.map(|eval| eval.split.name()),
            "figures": figures,
            "card": table.card,
            "harness_figures": harness.iter().flat_map(|part| harness_figure(part)).collect::<Vec<_>>(),
            "harness_mean": mean,
            "harness_log": log,
            "harness_errors": errors.flatten().collect::<Vec<_>>(),
            "rows": self.records.len(),
            "unscored": self.unscored,
            "absent": self.absent().into_iter().map(absent).collect::<Vec<_>>(),
            "missing_parts": self.given.missing_parts,
            "is_partial": !self.absent().is_empty() || !self.given.missing_parts.is_empty(),
            "drawn": table.drawn.0,
            "drawn_correct": table.drawn.1,
            "undrawn": self.drawable,
        });
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        object
    }

    /// A table for people: a title, `about`, and the figures.
    pub(super) fn lines(&self, about: &[String]) -> Vec<String> {
        let mut lines = vec![self.title()];
        lines.extend(about.iter().cloned());
        if self.are_made() && self.table.whole.rows > 0 {
            let head = ["", "ROWS", "SCORE", "95 % INTERVAL"].map(str::to_owned);
            let rows = std::iter::once(&self.table.whole).chain(&self.table.lines).map(cells);
            lines.extend(aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
            lines.extend(self.table.card.map(|card| format!("the model card has {card}")));
            lines.extend(self.harness_lines());
        }
        if self.unscored > 0 {
            lines.push(format!("{} scored by the benchmark's server only", counted(self.unscored, "answer")));
        }
        let (drawn, right) = self.table.drawn;
        if drawn > 0 {
            let share = self.table.drawn_share().unwrap_or_default();
            lines.push(format!("{} drawn by lot, {right} of them right: {share:.1} of the score", counted(drawn, "answer")));
        }
        if self.drawable > 0 {
            lines.push(format!(
                "{} counted as wrong, where the harness draws a letter at random",
                counted(self.drawable, "unreadable answer")
            ));
        }
        lines
    }

    fn title(&self) -> String {
        let Some(eval) = self.common() else { return "no rows".to_owned() };
        let harness = eval.harness.map(|harness| format!(", harness {harness}")).unwrap_or_default();
        let rows = counted(self.records.len(), "row");
        let mut missing = Vec::new();
        if !self.absent().is_empty() {
            missing.push(counted(self.absent().len(), "row"));
        }
        if !self.given.missing_parts.is_empty() {
            missing.push(counted(self.given.missing_parts.len(), "part"));
        }
        let partial = match missing.as_slice() {
            [] => String::new(),
            missing => format!(", PARTIAL: without {}", missing.join(" and ")),
        };
        format!("{}, split {}{harness}: {rows}{partial}", eval.name(), eval.split)
    }

    fn harness_lines(&self) -> Vec<String> {
        let figures = self.harness.iter().flat_map(|part| {
            let of = part.part.as_ref().map(|part| format!(" of {part}")).unwrap_or_default();
            let figures = part.aggregate.iter().flat_map(|aggregate| &aggregate.figures);
            figures.map(move |figure| format!("the harness's {}{of}: {}", figure.name, figure.printed()))
        });
        let mean = harness_mean(&self.harness).filter(|_| self.harness.len() > 1);
        let mean = mean.map(|mean| format!("their mean: {mean:.4}"));
        let errors = self.harness.iter().filter_map(|part| error(part.aggregate.as_ref().err()?));
        figures.chain(mean).chain(errors).collect()
    }

    /// Says what is missing, and how the command ends.
    pub(super) fn end(&self, printer: &mut Printer) -> Exit {
        let absent = self.absent();
        if absent.is_empty() {
            return Exit::Done;
        }
        let names: Vec<String> = absent.iter().take(NAMED).map(|absent| named(absent)).collect();
        let more = absent.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let hint = match self.given.is_partial {
            true => "",
            false => "; `--partial` computes figures over the others",
        };
        let rows = counted(self.records.len(), "row");
        let what = format!("{} of {rows} are in no figure", absent.len());
        printer.failed_item(&what, &format!("{}{more}{hint}", names.join(", ")));
        Exit::SomeFailed
    }
}

/// Why the harness has no figure, where that is worth telling: that a server makes it stands elsewhere.
fn error(error: &AggregateError) -> Option<String> {
    match error {
        AggregateError::NoFigure(_) => None,
        other => Some(other.to_string()),
    }
}

fn figure(line: &Line) -> Value {
    let estimate = line.estimate;
    let interval = estimate.and_then(|estimate| estimate.interval);
    json!({
        "dimension": line.group.as_ref().map(|group| &group.dimension),
        "name": line.group.as_ref().map(|group| &group.name),
        "rows": line.rows,
        "left_out": line.left_out,
        "videos": estimate.map_or(0, |estimate| estimate.clusters),
        "mean": estimate.map(|estimate| estimate.mean),
        "low": interval.map(|interval| interval.low),
        "high": interval.map(|interval| interval.high),
        "standard_error": interval.map(|interval| interval.standard_error),
    })
}

fn harness_figure(part: &PartFigures) -> Vec<Value> {
    let figures = part.aggregate.iter().flat_map(|aggregate| &aggregate.figures);
    figures
        .map(|figure| {
            json!({
                "part": part.part,
                "name": figure.name,
                "value": figure.value,
                "printed": figure.printed(),
                "rows": part.rows,
            })
        })
        .collect()
}

fn absent(absent: &Absent) -> Value {
    json!({ "part": absent.part, "row": absent.row, "why": absent.why, "name": absent.name })
}

fn named(absent: &Absent) -> String {
    let why = match absent.why {
        Absence::NoOutput => "no answer",
        Absence::NoVideo => "no video",
        Absence::FailedClip => "failed",
        Absence::NoVerdict => "no verdict",
    };
    let part = absent.part.as_ref().map(|part| format!("{part} ")).unwrap_or_default();
    format!("{part}row {} ({why})", absent.row)
}

fn cells(line: &Line) -> [String; 4] {
    let name = match &line.group {
        None => "all".to_owned(),
        Some(Group { dimension, name }) => format!("{dimension}: {name}"),
    };
    let rows = match line.left_out {
        0 => line.rows.to_string(),
        left_out => format!("{} (and {left_out} left out)", line.rows),
    };
    let (mean, interval) = match line.estimate {
        None => (String::new(), String::new()),
        Some(estimate) => {
            let interval = estimate.interval.map(|interval| format!("{:.2} to {:.2}", interval.low, interval.high));
            (format!("{:.2}", estimate.mean), interval.unwrap_or_else(|| "-".to_owned()))
        }
    };
    [name, rows, mean, interval]
}
