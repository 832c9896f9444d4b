//! What one run came to: its figure, and tables by length of clip and by category.

use maud::{Markup, html};

use super::super::axis::Axis;
use super::super::model::Run;
use super::super::page::Report;
use super::super::tables::{TableOf, tables};
use super::super::text::{count, counted, number, signed, visible};
use super::super::words;
use super::overview::tags;
use super::strip::{Marks, scale, strip};
use super::{anchor, breakable, half_width, legend, notes, standing};
use crate::eval::score::Line;

/// Tables with more lines may go over the end of a printed page.
const LONG: usize = 12;

pub(super) fn section(report: &Report, index: usize) -> Markup {
    let run = &report.runs[index];
    let tables = tables(run);
    let axis =
        Axis::around(tables.iter().flat_map(TableOf::values).chain(run.whole().map(|whole| whole.mean)), run.top());
    html! {
        section.run id=(anchor(index)) {
            h2 { (run.title()) (tags(run)) }
            (facts(run))
            (notes(&run.remarks()))
            @for pair in report.pairs.iter().filter(|pair| pair.second == index) {
                (super::closing::pair(report, pair))
            }
            @if !tables.is_empty() {
                (legend(run.whole().is_some(), false))
                div.tables { @for one in &tables { (table(run, &axis, one)) } }
            }
            @if let Some(line) = run.harness_line() { p.small { (line) } }
        }
    }
}

fn facts(run: &Run) -> Markup {
    let decimals = run.decimals();
    let (drawn, right) = run.table.drawn;
    html! {
        dl.facts {
            div.big {
                dt { "Ours" }
                dd {
                    @match run.whole() {
                        Some(whole) => { (number(whole.mean, decimals)) (half_width(whole, decimals)) }
                        None => "\u{2013}",
                    }
                }
            }
            @if let Some(card) = run.table.card {
                div.big { dt { "Card" } dd { (number(card, decimals)) } }
                @if let Some(difference) = run.difference() {
                    div.big { dt { "Difference" } dd { (signed(difference, decimals)) } }
                    div { dt { "Ours is" } dd { (standing(run.standing())) } }
                }
            }
            div { dt { "Rows" } dd { (count(run.rows)) } }
            div { dt { "Videos" } dd { (count(run.videos)) } }
            @if run.table.whole.left_out > 0 { div { dt { "Left out" } dd { (count(run.table.whole.left_out)) } } }
            div {
                dt { "Drawn at random" }
                dd {
                    (count(drawn))
                    @if drawn > 0 { small { " (" (count(right)) " right)" } }
                }
            }
        }
    }
}

fn table(run: &Run, axis: &Axis, one: &TableOf<'_>) -> Markup {
    let has_left_out = one.lines.iter().any(|line| line.left_out > 0);
    html! {
        div.one.long[one.lines.len() > LONG] { table.figures {
            caption { (one.title) }
            thead {
                tr.head {
                    th.name scope="col" {}
                    th.plot { (scale(axis)) }
                    th.ours scope="col" { (if run.top() < 100.0 { "Score" } else { "%" }) }
                    th.rows scope="col" { "Rows" }
                    @if has_left_out { th.rows scope="col" { "Left out" } }
                }
            }
            tbody { @for line in one.lines { (row(run, axis, line, has_left_out)) } }
        } }
    }
}

fn row(run: &Run, axis: &Axis, line: &Line, has_left_out: bool) -> Markup {
    let name = visible(line.group.as_ref().map_or("", |group| &group.name));
    let decimals = run.decimals();
    let marks = Marks { ours: line.estimate.as_ref(), card: None, whole: run.whole().map(|whole| whole.mean) };
    let words = format!("{name}: {}, {}", words::estimate(line.estimate.as_ref(), decimals), counted(line.rows, "row"));
    html! {
        tr {
            th.name scope="row" { (breakable(&name)) }
            td.plot { (strip(axis, marks, &words)) }
            td.ours {
                @match &line.estimate {
                    Some(estimate) => { strong { (number(estimate.mean, decimals)) } (half_width(estimate, decimals)) }
                    None => "\u{2013}",
                }
            }
            td.rows { (count(line.rows)) }
            @if has_left_out { td.rows { (count(line.left_out)) } }
        }
    }
}
