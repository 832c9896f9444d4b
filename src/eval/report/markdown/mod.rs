//! The report as Markdown, for repositories and issues: the same words and figures, plots in characters.

mod escape;
mod plot;

use self::escape::{cell, code, escape, table};
use super::model::Run;
use super::overview::{Ours, Row, groups};
use super::page::Report;
use super::settings::divide;
use super::tables::{TableOf, tables};
use super::text::{count, number, signed};
use super::words;
use crate::eval::interval::Estimate;

const NONE: &str = "\u{2013}";

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut page = Page::default();
    let partial = if report.is_partial() { " (partial)" } else { "" };
    page.paragraph(&format!("# {}{partial}", escape(&report.title())));
    page.paragraph(&format!("Evaluation report, {}, {}.", escape(&report.date), escape(&report.program)));
    overview(&mut page, report);
    missing(&mut page, report);
    for index in 0..report.runs.len() {
        section(&mut page, report, index);
    }
    settings(&mut page, report);
    reading(&mut page, report);
    page.text
}

/// Blocks with an empty line between them.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn paragraph(&mut self, block: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(block.trim_end_matches('\n'));
        self.text.push('\n');
    }

    fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let items: Vec<String> = items.into_iter().map(|item| format!("- {item}")).collect();
        if !items.is_empty() {
            self.paragraph(&items.join("\n"));
        }
    }
}

fn overview(page: &mut Page, report: &Report) {
    page.paragraph(&format!("## {}", words::overview(report.has_card())));
    if report.has_card() {
        page.paragraph(words::CARD);
    }
    for group in groups(report) {
        page.paragraph(&format!("### {}", group.title));
        page.paragraph(&table(
            &["", "Ours", "Card", "Difference", "Ours is", "Rows"],
            group.rows.iter().map(overview_row),
        ));
        page.paragraph(&plot::plot(&group));
    }
    page.paragraph(plot::LEGEND);
    if report.has_card() {
        page.paragraph(words::READING);
    }
    if report.runs.iter().any(Run::is_judged) {
        page.paragraph(&format!("> {}", words::DRIFT));
    }
}

fn overview_row(row: &Row<'_>) -> Vec<String> {
    let card = row.card.map_or(NONE.to_owned(), |card| number(card, row.decimals()));
    let Some(Ours { run, .. }) = row.ours else {
        return [cell(&row.title), "not run".to_owned(), card]
            .into_iter()
            .chain(std::iter::repeat_n(NONE.to_owned(), 3))
            .collect();
    };
    vec![
        format!("{}{}", cell(&row.title), tags(run)),
        figure(run.whole(), row.decimals()),
        card,
        run.difference().map_or(NONE.to_owned(), |difference| signed(difference, row.decimals())),
        run.standing().word().to_owned(),
        count(run.rows),
    ]
}

fn tags(run: &Run) -> String {
    let tags = run.tags();
    if tags.is_empty() { String::new() } else { format!(" ({})", tags.join(", ")) }
}

fn figure(estimate: Option<&Estimate>, decimals: usize) -> String {
    let Some(estimate) = estimate else { return NONE.to_owned() };
    let half = estimate.interval.map(|interval| (interval.high - interval.low) / 2.0);
    let half = half.map(|half| format!(" ± {}", number(half, decimals))).unwrap_or_default();
    format!("{}{half}", number(estimate.mean, decimals))
}

fn missing(page: &mut Page, report: &Report) {
    page.paragraph("## What is missing");
    if report.runs.iter().all(|run| !run.is_partial()) {
        page.paragraph(words::NOTHING_MISSING);
    }
    for run in report.runs.iter().filter(|run| run.is_partial()) {
        page.paragraph(&format!("### {}", escape(&run.title())));
        run.unseen_lines().iter().for_each(|line| page.paragraph(&escape(line)));
        for gap in &run.gaps {
            let (why, rows) = gap.summary();
            page.paragraph(&format!("**{why}**, {rows}:"));
            page.list(gap.items.iter().map(|(name, rows)| match name.as_str() {
                "" => escape(rows),
                name => format!("{} {}", code(name), escape(rows)),
            }));
        }
    }
}

fn section(page: &mut Page, report: &Report, index: usize) {
    let run = &report.runs[index];
    page.paragraph(&format!("## {}{}", escape(&run.title()), tags(run)));
    let (drawn, right) = run.table.drawn;
    let mut facts = vec![format!("Ours: **{}**", figure(run.whole(), run.decimals()))];
    if let Some(card) = run.table.card {
        facts.push(format!("card: {}", number(card, run.decimals())));
    }
    if let Some(difference) = run.difference() {
        facts.push(format!("difference: {}", signed(difference, run.decimals())));
        facts.push(format!("ours is: {}", run.standing().word()));
    }
    facts.push(format!("rows: {}", count(run.rows)));
    facts.push(format!("videos: {}", count(run.videos)));
    if run.table.whole.left_out > 0 {
        facts.push(format!("left out: {}", count(run.table.whole.left_out)));
    }
    facts.push(format!("drawn at random: {} ({} right)", count(drawn), count(right)));
    page.paragraph(&format!("{}.", facts.join("; ")));
    let remarks: Vec<String> = run.remarks().iter().map(|remark| format!("> {}", escape(remark))).collect();
    if !remarks.is_empty() {
        page.paragraph(&remarks.join("  \n"));
    }
    for pair in report.pairs.iter().filter(|pair| pair.second == index) {
        let (first, second) = (report.runs[pair.first].title(), run.title());
        page.paragraph(&format!("### Beside {}", escape(&first)));
        page.paragraph(&escape(&words::comparison(&pair.comparison, run.decimals())));
        if !pair.settings.is_empty() {
            let rows = pair.settings.iter().map(|(name, before, after)| vec![cell(name), cell(before), cell(after)]);
            page.paragraph(&table(&["Setting", &cell(&first), &cell(&second)], rows));
        }
    }
    if let Some(line) = run.harness_line() {
        page.paragraph(&escape(&line));
    }
    for one in tables(run) {
        page.paragraph(&format!("### {}", escape(&one.title)));
        page.paragraph(&figures(run, &one));
    }
}

fn figures(run: &Run, one: &TableOf<'_>) -> String {
    let decimals = run.decimals();
    let unit = if run.top() < 100.0 { "Score" } else { "%" };
    let rows = one.lines.iter().map(|line| {
        let interval = line.estimate.and_then(|estimate| estimate.interval);
        let interval =
            interval.map(|found| format!("{} to {}", number(found.low, decimals), number(found.high, decimals)));
        vec![
            cell(line.group.as_ref().map_or("", |group| &group.name)),
            line.estimate.map_or(NONE.to_owned(), |estimate| number(estimate.mean, decimals)),
            interval.unwrap_or(NONE.to_owned()),
            count(line.rows),
            count(line.left_out),
        ]
    });
    table(&["", unit, "95 % interval", "Rows", "Left out"], rows)
}

fn settings(page: &mut Page, report: &Report) {
    let all: Vec<&[(String, String)]> = report.runs.iter().map(|run| run.settings.as_slice()).collect();
    let (shared, differing) = divide(&all);
    page.paragraph("## Settings");
    if !shared.is_empty() {
        if report.runs.len() > 1 {
            page.paragraph("### The same in all runs");
        }
        page.paragraph(&table(&["Setting", "Value"], shared.iter().map(|(name, value)| vec![cell(name), cell(value)])));
    }
    if !differing.is_empty() {
        page.paragraph("### Different among runs");
        let rows = differing.iter().flat_map(|setting| {
            setting.values.iter().map(|(value, runs)| {
                vec![cell(setting.name), cell(value.unwrap_or(words::NO_SETTING)), cell(&report.titles(runs))]
            })
        });
        page.paragraph(&table(&["Setting", "Value", "Runs"], rows));
    }
}

fn reading(page: &mut Page, report: &Report) {
    page.paragraph("## How to read this");
    for words in report.reading() {
        page.paragraph(&escape(words));
    }
    page.paragraph("Made of");
    page.list(report.files.iter().map(|file| {
        let torn = if file.is_torn { ", the last one torn and left out" } else { "" };
        format!("{} {} records{torn}", code(&file.name), count(file.records))
    }));
}
