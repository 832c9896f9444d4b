//! The end of the page: settings, how to read it, and what it is made of.

use maud::{Markup, html};

use super::super::page::Report;
use super::super::pair::Pair;
use super::super::settings::{Differing, divide};
use super::super::text::count;
use super::super::words;
use super::breakable;

pub(super) fn settings(report: &Report) -> Markup {
    let all: Vec<&[(String, String)]> = report.runs.iter().map(|run| run.settings.as_slice()).collect();
    let (shared, differing) = divide(&all);
    html! {
        section #settings {
            h2 { "Settings" }
            @if !shared.is_empty() {
                @if report.runs.len() > 1 { h3 { "The same in all runs" } }
                table.settings {
                    tbody {
                        @for (name, value) in shared {
                            tr { th scope="row" { (breakable(name)) } td { bdi { (value) } } }
                        }
                    }
                }
            }
            @if !differing.is_empty() {
                h3 { "Different among runs" }
                table.settings.differing {
                    thead { tr { th scope="col" { "Setting" } th scope="col" { "Value" } th scope="col" { "Runs" } } }
                    @for setting in &differing { (values(report, setting)) }
                }
            }
        }
    }
}

fn values(report: &Report, setting: &Differing<'_>) -> Markup {
    html! {
        tbody {
            @for (index, (value, runs)) in setting.values.iter().enumerate() {
                tr {
                    @if index == 0 { th scope="rowgroup" rowspan=(setting.values.len()) { (breakable(setting.name)) } }
                    td { bdi { (value.unwrap_or(words::NO_SETTING)) } }
                    td.runs { (report.titles(runs)) }
                }
            }
        }
    }
}

/// Another run of the same benchmark.
pub(super) fn pair(report: &Report, pair: &Pair) -> Markup {
    let (first, second) = (&report.runs[pair.first], &report.runs[pair.second]);
    html! {
        div.pair {
            h3 { "Beside " (first.title()) }
            p { (words::comparison(&pair.comparison, second.decimals())) }
            @if !pair.settings.is_empty() {
                table.settings {
                    thead {
                        tr {
                            th scope="col" { "Setting" }
                            th scope="col" { (first.title()) }
                            th scope="col" { (second.title()) }
                        }
                    }
                    tbody {
                        @for (name, before, after) in &pair.settings {
                            tr { th scope="row" { (breakable(name)) } td { bdi { (before) } } td { bdi { (after) } } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn reading(report: &Report) -> Markup {
    html! {
        section #reading {
            h2 { "How to read this" }
            @for words in report.reading() { p { (words) } }
        }
    }
}

pub(super) fn files(report: &Report) -> Markup {
    html! {
        p { "Made of" }
        ul.names {
            @for file in &report.files {
                li {
                    code { bdi { (file.name) } }
                    span.where {
                        " " (count(file.records)) " records"
                        @if file.is_torn { ", the last one torn and left out" }
                    }
                }
            }
        }
    }
}
