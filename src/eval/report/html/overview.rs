//! The ten rows of the model card beside ours.

use maud::{Markup, html};

use super::super::axis::Axis;
use super::super::model::Run;
use super::super::overview::{Ours, Row, groups};
use super::super::page::Report;
use super::super::text::{count, number, signed};
use super::super::words;
use super::strip::{Marks, scale, strip};
use super::{anchor, half_width, legend, notes, standing};

pub(super) fn overview(report: &Report) -> Markup {
    html! {
        section #overview {
            h2 { (words::overview(report.has_card())) }
            @if report.has_card() { p.lead { (words::CARD) } }
            table.overview {
                @for group in groups(report) {
                    tbody {
                        tr.head {
                            th.name scope="col" { (group.title) }
                            th.plot { (scale(&group.axis)) }
                            th.ours scope="col" { "Ours" }
                            th.card scope="col" { "Card" }
                            th.diff scope="col" { "Difference" }
                            th.stand scope="col" { "Ours is" }
                            th.rows scope="col" { "Rows" }
                        }
                        @for row in &group.rows { (line(&group.axis, row)) }
                    }
                }
            }
            (legend(false, report.has_card()))
            @if report.has_card() { p.small { (words::READING) } }
            @if report.runs.iter().any(Run::is_judged) { (notes(&[words::DRIFT.to_owned()])) }
        }
    }
}

fn line(axis: &Axis, row: &Row<'_>) -> Markup {
    let decimals = row.decimals();
    let card = row.card.map(|card| number(card, decimals));
    let marks = Marks { ours: row.ours.as_ref().and_then(|ours| ours.run.whole()), card: row.card, whole: None };
    html! {
        tr.idle[row.ours.is_none()] {
            th.name scope="row" {
                @match &row.ours {
                    Some(ours) => { a href={ "#" (anchor(ours.index)) } { (row.title) } (tags(ours.run)) }
                    None => { (row.title) " " span.tag { "not run" } }
                }
            }
            td.plot { (strip(axis, marks, &row.in_words())) }
            td.ours { (figure(row.ours.as_ref(), decimals)) }
            td.card { span.label { "card " } (card.as_deref().unwrap_or("\u{2013}")) }
            @match &row.ours {
                Some(Ours { run, .. }) => {
                    td.diff {
                        @if let Some(difference) = run.difference() { (signed(difference, decimals)) }
                        @else { "\u{2013}" }
                    }
                    td.stand { (standing(run.standing())) }
                    td.rows { (count(run.rows)) span.label { " rows" } }
                }
                None => { td.diff { "\u{2013}" } td.stand { "\u{2013}" } td.rows { "\u{2013}" } }
            }
        }
    }
}

fn figure(ours: Option<&Ours<'_>>, decimals: usize) -> Markup {
    let whole = ours.and_then(|ours| ours.run.whole());
    html! {
        @match whole {
            Some(whole) => { strong { (number(whole.mean, decimals)) } (half_width(whole, decimals)) }
            None => "\u{2013}",
        }
    }
}

/// What a reader should know of a run before its number.
pub(super) fn tags(run: &Run) -> Markup {
    html! {
        @for tag in run.tags() { " " span.tag.(if tag == "partial" { "warn" } else { "plain" }) { (tag) } }
    }
}
