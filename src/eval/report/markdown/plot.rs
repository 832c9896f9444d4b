//! The overview's plot in characters, for where no picture is shown.

use super::super::overview::{Group, Row};
use super::super::text::visible;

/// Characters from the low end of the scale to the high one.
const WIDTH: usize = 56;

pub(super) const LEGEND: &str =
    "`\u{25cf}` is ours, `\u{2500}` its 95 % interval, `\u{25c7}` the model card; `\u{25c8}` is both in one place.";

/// A block of code with a line for each row.
pub(super) fn plot(group: &Group<'_>) -> String {
    let titles: Vec<String> = group.rows.iter().map(|row| visible(&row.title)).collect();
    let wide = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{:wide$}  {}", "", scale(group)).trim_end().to_owned()];
    for (row, title) in group.rows.iter().zip(&titles) {
        lines.push(format!("{title:wide$}  {}", line(group, row)).trim_end().to_owned());
    }
    format!("```text\n{}\n```", lines.join("\n"))
}

fn column(group: &Group<'_>, value: f64) -> usize {
    (group.axis.place(value) * WIDTH as f64).round() as usize
}

/// The numbers of the ticks, each begun at its place.
fn scale(group: &Group<'_>) -> String {
    let mut text = String::new();
    for tick in group.axis.ticks() {
        let printed = group.axis.printed(tick);
        let place = column(group, tick);
        if text.chars().count() < place {
            text.extend(std::iter::repeat_n(' ', place - text.chars().count()));
        }
        text.push_str(&printed);
    }
    text
}

fn line(group: &Group<'_>, row: &Row<'_>) -> String {
    let mut cells = vec![' '; WIDTH + 1];
    for tick in group.axis.ticks() {
        cells[column(group, tick)] = '\u{b7}';
    }
    let whole = row.ours.and_then(|ours| ours.run.whole());
    if let Some(interval) = whole.and_then(|whole| whole.interval) {
        cells[column(group, interval.low)..=column(group, interval.high)].fill('\u{2500}');
    }
    let card = row.card.map(|card| column(group, card));
    if let Some(card) = card {
        cells[card] = '\u{25c7}';
    }
    if let Some(whole) = whole {
        let ours = column(group, whole.mean);
        cells[ours] = if card == Some(ours) { '\u{25c8}' } else { '\u{25cf}' };
    }
    cells.into_iter().collect()
}
