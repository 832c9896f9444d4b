//! The page as one HTML file that asks nobody for anything: no script, no font, no picture from elsewhere.

mod closing;
mod missing;
mod overview;
mod section;
mod strip;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::model::Standing;
use super::page::Report;
use super::text::{count, number, visible};
use crate::eval::interval::Estimate;

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded or run, whatever a text smuggles in.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A browser that has no icon asks the page's server for one.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Cpath d='M1 8h14' stroke='%233366cc' stroke-width='2.5' stroke-linecap='round'/%3E\
    %3Ccircle cx='8' cy='8' r='4' fill='%233366cc'/%3E%3C/svg%3E";

/// The report as HTML.
pub fn html(report: &Report) -> String {
    let title = report.title();
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content=(visible(&report.program));
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.eyebrow { "Evaluation report" @if report.is_partial() { " " span.tag.warn { "partial" } } }
                    h1 { (title) }
                    p.byline { time datetime=(report.date) { (report.date) } " · " (visible(&report.program)) }
                    (tiles(report))
                }
                main {
                    (overview::overview(report))
                    (missing::missing(report))
                    @for index in 0..report.runs.len() { (section::section(report, index)) }
                    (closing::settings(report))
                    (closing::reading(report))
                }
                footer { (closing::files(report)) }
            }
        }
    };
    page.into_string()
}

/// The whole in four numbers.
fn tiles(report: &Report) -> Markup {
    let counts = report.counts();
    markup! {
        dl.tiles {
            @if report.has_card() {
                div { dt { "Benchmarks of the card" } dd { (counts.benchmarks) small { " of 10" } } }
                div {
                    dt { "Card inside our interval" }
                    dd { (counts.level) small { " of " (counts.compared) } }
                }
            }
            div { dt { "Rows in the figures" } dd { (count(counts.rows)) } }
            div.warn[counts.missing > 0] { dt { "Rows missing" } dd { (count(counts.missing)) } }
        }
    }
}

/// What the reader should not miss.
fn notes(lines: &[String]) -> Markup {
    markup! { @if !lines.is_empty() { div.note { @for line in lines { p { (line) } } } } }
}

/// A name that may break where its words end: browsers take `a_b` for one word.
fn breakable(name: &str) -> Markup {
    markup! { bdi { @for piece in name.split_inclusive(['_', '/', '.']) { (piece) wbr; } } }
}

/// How ours stands to the card, so that colour is not the only sign.
fn standing(standing: Standing) -> Markup {
    markup! { span class={ "standing " (standing.class()) } { (standing.word()) } }
}

impl Standing {
    fn class(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Level => "level",
            Self::Lower => "lower",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a run's section is.
fn anchor(index: usize) -> String {
    format!("run-{}", index + 1)
}

/// What the dot, the bar and the diamond are.
fn legend(has_whole: bool, has_card: bool) -> Markup {
    markup! {
        p.legend {
            span { (strip::key_ours()) "ours, with its 95 % interval" }
            @if has_card { span { (strip::key_card()) "the model card" } }
            @if has_whole { span { (strip::key_whole()) "all rows" } }
        }
    }
}

/// Half of an interval's width, behind the figure.
fn half_width(estimate: &Estimate, decimals: usize) -> Markup {
    markup! {
        @if let Some(interval) = estimate.interval {
            " " span.half { "± " (number((interval.high - interval.low) / 2.0, decimals)) }
        }
    }
}
