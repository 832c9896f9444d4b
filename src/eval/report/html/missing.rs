//! What is in no figure, by name.

use maud::{Markup, html};

use super::super::missing::Gap;
use super::super::model::Run;
use super::super::page::Report;
use super::super::words;

/// Names that are shown at once; the rest unfolds.
const AT_ONCE: usize = 24;

pub(super) fn missing(report: &Report) -> Markup {
    let with_gaps: Vec<&Run> = report.runs.iter().filter(|run| run.is_partial()).collect();
    html! {
        section #missing {
            h2 { "What is missing" }
            @if with_gaps.is_empty() { p { (words::NOTHING_MISSING) } }
            @for run in with_gaps {
                div.gap {
                    h3 { (run.title()) }
                    @for line in run.unseen_lines() { p { (line) } }
                    @for gap in &run.gaps { (of_reason(gap)) }
                }
            }
        }
    }
}

fn of_reason(gap: &Gap) -> Markup {
    let (first, rest) = gap.items.split_at(gap.items.len().min(AT_ONCE));
    html! {
        p.why { strong { (gap.summary().0) } " " (gap.summary().1) }
        ul.names { (names(first)) }
        @if !rest.is_empty() {
            details { summary { "and " (rest.len()) " more" } ul.names { (names(rest)) } }
        }
    }
}

fn names(items: &[(String, String)]) -> Markup {
    html! {
        @for (name, rows) in items {
            li { @if !name.is_empty() { code { bdi { (name) } } " " } span.where { (rows) } }
        }
    }
}
