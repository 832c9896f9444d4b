//! Interval plots, one strip a row, as SVG whose places are shares of the width: it fits a phone and a poster.

use maud::{Markup, html};

use super::super::axis::Axis;
use crate::eval::interval::Estimate;

/// What a strip shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks<'a> {
    pub(super) ours: Option<&'a Estimate>,
    pub(super) card: Option<f64>,
    pub(super) whole: Option<f64>,
}

/// A row's plot; `label` says the same in words.
pub(super) fn strip(axis: &Axis, marks: Marks<'_>, label: &str) -> Markup {
    html! {
        svg.strip role="img" width="100%" height="20" {
            title { (label) }
            @for tick in axis.ticks() { (rule("grid", axis, tick)) }
            @if let Some(whole) = marks.whole { (rule("whole", axis, whole)) }
            @if let Some(interval) = marks.ours.and_then(|ours| ours.interval) {
                line.bar x1=(share(axis, interval.low)) x2=(share(axis, interval.high)) y1="10" y2="10" {}
            }
            @if let Some(ours) = marks.ours { circle.ours cx=(share(axis, ours.mean)) cy="10" r="4.5" {} }
            @if let Some(card) = marks.card {
                svg x=(share(axis, card)) y="10" overflow="visible" { (diamond()) }
            }
        }
    }
}

/// The numbers of an axis, over the strips.
pub(super) fn scale(axis: &Axis) -> Markup {
    html! {
        svg.scale role="presentation" width="100%" height="14" {
            @for tick in axis.ticks() {
                text x=(share(axis, tick)) y="11" text-anchor="middle" { (axis.printed(tick)) }
            }
        }
    }
}

fn rule(class: &str, axis: &Axis, value: f64) -> Markup {
    let x = share(axis, value);
    html! { line class=(class) x1=(x) x2=(x) y1="0" y2="100%" {} }
}

fn diamond() -> Markup {
    html! { path.card d="M0 -6.5L5 0 0 6.5 -5 0Z" {} }
}

fn share(axis: &Axis, value: f64) -> String {
    format!("{:.2}%", 100.0 * axis.place(value))
}

fn key(marks: &Markup) -> Markup {
    html! { svg.key width="28" height="16" viewBox="-14 -8 28 16" aria-hidden="true" { (marks) } }
}

pub(super) fn key_ours() -> Markup {
    key(&html! { line.bar x1="-10" x2="10" y1="0" y2="0" {} circle.ours cx="0" cy="0" r="4.5" {} })
}

pub(super) fn key_card() -> Markup {
    key(&diamond())
}

pub(super) fn key_whole() -> Markup {
    key(&html! { line.whole x1="0" x2="0" y1="-8" y2="8" {} })
}
