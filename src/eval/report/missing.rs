//! What is in no figure, named: rows with the same name together.

use super::text::{counted, ranges, visible};
use crate::eval::score::{Absence, Absent};

/// Rows that are in no figure for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub why: Absence,
    /// How many rows.
    pub rows: usize,
    /// What names them, with the rows; the name is empty where only the rows are known.
    pub items: Vec<(String, String)>,
}

/// The rows of a table that are in no figure, by reason and name.
pub(super) fn gaps(absent: &[Absent]) -> Vec<Gap> {
    let mut sorted: Vec<&Absent> = absent.iter().collect();
    sorted.sort_by(|a, b| (a.why, &a.name, &a.part, a.row).cmp(&(b.why, &b.name, &b.part, b.row)));
    let by_reason = sorted.chunk_by(|a, b| a.why == b.why);
    by_reason.map(|rows| Gap { why: rows[0].why, rows: rows.len(), items: items(rows) }).collect()
}

fn items(rows: &[&Absent]) -> Vec<(String, String)> {
    let by_name = rows.chunk_by(|a, b| a.name == b.name);
    let mut items: Vec<(usize, (String, String))> =
        by_name.map(|rows| (rows[0].row, (visible(&rows[0].name), places(rows)))).collect();
    // In the order of the data, as far as rows tell it.
    items.sort_by_key(|(row, _)| *row);
    items.into_iter().map(|(_, item)| item).collect()
}

/// `rows 1–3 of moving_count; row 4 of state_change`.
fn places(rows: &[&Absent]) -> String {
    let by_part = rows.chunk_by(|a, b| a.part == b.part);
    let places = by_part.map(|rows| {
        let numbers: Vec<usize> = rows.iter().map(|absent| absent.row).collect();
        let of = rows[0].part.as_deref().map(|part| format!(" of {}", visible(part))).unwrap_or_default();
        format!("row{} {}{of}", if numbers.len() == 1 { "" } else { "s" }, ranges(&numbers))
    });
    places.collect::<Vec<_>>().join("; ")
}

impl Gap {
    /// Why, and how many rows.
    pub fn summary(&self) -> (&'static str, String) {
        (super::words::absence(self.why), counted(self.rows, "row"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_video_are_named_once() {
        let absent = |row, part: Option<&str>, why, name: &str| Absent {
            row,
            part: part.map(str::to_owned),
            why,
            name: name.to_owned(),
        };
        let (video, clip, none) = (Absence::NoVideo, Absence::FailedClip, Absence::NoOutput);
        let found = gaps(&[
            absent(9, None, clip, "b.mp4: broken"),
            absent(2, None, video, "z\u{202e}.mp4"),
            absent(0, None, video, "z\u{202e}.mp4"),
            absent(1, None, video, "a.mp4"),
            absent(7, Some("y"), none, ""),
            absent(6, Some("x"), none, ""),
            absent(5, Some("x"), none, ""),
        ]);
        let lines: Vec<_> = found.iter().map(Gap::summary).collect();
        let lines: Vec<_> = lines.iter().map(|(why, rows)| (*why, rows.as_str())).collect();
        assert_eq!(lines, [("No answer", "3 rows"), ("Video missing", "3 rows"), ("Clip failed", "1 row")]);
        let video = found.iter().find(|gap| gap.why == video).unwrap();
        let items: Vec<_> = video.items.iter().map(|(name, rows)| (name.as_str(), rows.as_str())).collect();
        assert_eq!(items, [("z\\u{202e}.mp4", "rows 0, 2"), ("a.mp4", "row 1")]);
        let nameless = found.iter().find(|gap| gap.why == none).unwrap();
        assert_eq!(nameless.items, [(String::new(), "rows 5, 6 of x; row 7 of y".to_owned())]);
    }
}
