//! Words for what is lost in a damaged clip.

use super::linear::Outcome;
use crate::size::counted;
use crate::video::index::entries::Index;

/// Ranges of frame numbers that are named one by one; more are only counted.
const MAX_NAMED: usize = 3;

/// What a decode of the whole clip lost, one sentence each; empty for a sound clip.
///
/// `promised` is the number of frames the container speaks of, which may be more than it has.
pub(crate) fn report(index: &Index, promised: usize, outcome: &Outcome) -> Vec<String> {
    let mut report = Vec::new();
    if lost_count(index, promised, outcome) > 0 {
        report.push(describe(&lost_frames(index, promised, outcome), promised, outcome.frame_count()));
    } else if outcome.error_count > 0 {
        report.push(format!("{} could not be decoded in full", counted(outcome.error_count, "packet")));
    }
    if let Some(fault) = outcome.fault {
        report.push(format!("reading stopped before the end of the file: {fault}"));
    }
    if outcome.damaged_count > 0 {
        report.push(format!(
            "{} of {} came out damaged; what could be decoded of them is used",
            outcome.damaged_count,
            counted(outcome.frame_count(), "frame")
        ));
    }
    report
}

/// How many of the `promised` frames a decode of the whole clip lost.
pub(crate) fn lost_count(index: &Index, promised: usize, outcome: &Outcome) -> usize {
    let has_errors = outcome.error_count > 0 || outcome.fault.is_some() || index.corrupt_count > 0;
    // Frames can be missing without an error and without a loss: two fields in two packets make one frame.
    match has_errors || promised > index.presented.len() {
        true => promised.saturating_sub(outcome.frame_count()),
        false => 0,
    }
}

/// Ranges (first, last) of the frames the container speaks of that were not decoded.
fn lost_frames(index: &Index, promised: usize, outcome: &Outcome) -> Vec<(usize, usize)> {
    let mut decoded: Option<Vec<i64>> = outcome.stamps.iter().copied().collect();
    decoded.iter_mut().for_each(|stamps| stamps.sort_unstable());
    let mut lost: Vec<(usize, usize)> = Vec::new();
    for number in 0..promised {
        let is_there = match index.presented.get(number) {
            Some(&position) => match (index.entries[position as usize].pts, &decoded) {
                (Some(pts), Some(stamps)) => stamps.binary_search(&pts).is_ok(),
                _ => number < outcome.frame_count(),
            },
            None => false,
        };
        match lost.last_mut() {
            _ if is_there => {}
            Some(range) if range.1 + 1 == number => range.1 = number,
            _ => lost.push((number, number)),
        }
    }
    lost
}

fn describe(lost: &[(usize, usize)], promised: usize, used: usize) -> String {
    match lost {
        [] => format!("{} of {} could not be decoded", promised.saturating_sub(used), counted(promised, "frame")),
        [(first, last)] if last + 1 == promised && *first == used => {
            format!("{} could not be decoded; using the {used} before", named(lost))
        }
        _ if lost.len() <= MAX_NAMED => {
            format!("{} could not be decoded; using the other {used}", named(lost))
        }
        [first, ..] => {
            let count: usize = lost.iter().map(|(first, last)| last - first + 1).sum();
            format!(
                "{count} of {} could not be decoded, the first of them frame {}; using the other {used}",
                counted(promised, "frame"),
                first.0
            )
        }
    }
}

/// Ranges of frames by number: `frame 7`, `frames 20-29, 50`.
fn named(ranges: &[(usize, usize)]) -> String {
    let name = |&(first, last): &(usize, usize)| match first == last {
        true => format!("{first}"),
        false => format!("{first}-{last}"),
    };
    let is_one = matches!(ranges, [(first, last)] if first == last);
    let names: Vec<String> = ranges.iter().map(name).collect();
    format!("{} {}", if is_one { "frame" } else { "frames" }, names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::index::entries::{CountSource, tests::entry};

    fn outcome(times: impl IntoIterator<Item = i64>, error_count: usize) -> Outcome {
        Outcome { stamps: times.into_iter().map(Some).collect(), error_count, ..Outcome::default() }
    }

    #[test]
    fn losses_are_named() {
        let entries = (0..100).map(|pts| entry(pts, pts == 0)).collect();
        let index = Index::new(entries, 1, CountSource::Packets);
        assert!(report(&index, 100, &outcome(0..100, 0)).is_empty());
        assert_eq!(lost_count(&index, 111, &outcome(0..40, 3)), 71);
        assert_eq!(lost_count(&index, 100, &outcome((0..20).chain(30..50).chain(51..100), 1)), 11);
        assert_eq!(lost_count(&index, 100, &outcome((0..100).step_by(2), 0)), 0);
        // Half the packets make a frame each, without an error: field pairs.
        assert!(report(&index, 100, &outcome((0..100).step_by(2), 0)).is_empty());
        assert_eq!(
            report(&index, 111, &outcome(0..40, 3)),
            ["frames 40-110 could not be decoded; using the 40 before"]
        );
        assert_eq!(
            report(&index, 100, &outcome((0..20).chain(30..50).chain(51..100), 1)),
            ["frames 20-29, 50 could not be decoded; using the other 89"]
        );
        assert_eq!(
            report(&index, 100, &outcome((0..100).step_by(2), 50)),
            ["50 of 100 frames could not be decoded, the first of them frame 1; using the other 50"]
        );
        assert_eq!(
            report(&index, 100, &outcome((0..7).chain(8..100), 1)),
            ["frame 7 could not be decoded; using the other 99"]
        );
    }
}
