//! Tables by length of clip: by the publisher's own lengths where the data has such, else by how long the clips are.

use crate::eval::results::ResultRecord;
use crate::eval::score::{Group, Line, Table};

/// The dimension of measured lengths.
pub(super) const LENGTH: &str = "length of clip";

/// Dimensions in which publishers tell lengths apart.
const PUBLISHED: [&str; 2] = ["duration", "duration group"];

/// The upper ends, in seconds, and what is up to there.
const LENGTHS: [(f64, &str); 6] = [
    (15.0, "up to 15 s"),
    (60.0, "15 s to 1 min"),
    (180.0, "1 to 3 min"),
    (600.0, "3 to 10 min"),
    (1800.0, "10 to 30 min"),
    (3600.0, "30 to 60 min"),
];
const LONGER: &str = "over 60 min";
const UNKNOWN: &str = "not known";

/// The publishers' names in their order, where that is another than the alphabet's.
const NAMED: [&str; 3] = ["short", "medium", "long"];

fn name(length_secs: Option<f64>) -> &'static str {
    let Some(secs) = length_secs else { return UNKNOWN };
    LENGTHS.iter().find(|(end, _)| secs <= *end).map_or(LONGER, |(_, name)| name)
}

/// Tells each record's length as one of its categories, unless the publisher does or nobody knows.
pub(super) fn tell(records: &mut [ResultRecord]) {
    let is_published = |group: &Group| PUBLISHED.contains(&&*group.dimension);
    let has = |record: &ResultRecord| record.eval.groups.iter().any(is_published);
    if records.iter().any(has) || records.iter().all(|record| record.eval.length_secs.is_none()) {
        return;
    }
    for record in records {
        record.eval.groups.push(Group::new(LENGTH, name(record.eval.length_secs)));
    }
}

/// Takes the lines by length out of a table, the shortest first.
pub(super) fn take(table: &mut Table) -> Vec<Line> {
    let is_length = |line: &Line| {
        line.group.as_ref().is_some_and(|group| group.dimension == LENGTH || PUBLISHED.contains(&&*group.dimension))
    };
    let (mut lengths, others): (Vec<_>, Vec<_>) = std::mem::take(&mut table.lines).into_iter().partition(is_length);
    table.lines = others;
    // What is in none of the lists stands in the order of the table.
    lengths.sort_by_key(|line| line.group.as_ref().map(|group| (group.dimension.clone(), rank(&group.name))));
    lengths
}

fn rank(name: &str) -> usize {
    let measured = LENGTHS.iter().map(|(_, name)| *name).chain([LONGER, UNKNOWN]);
    measured.chain(NAMED).position(|known| known == name).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[(&'static str, &str)]) -> Table {
        let line = |&(dimension, name): &(&'static str, &str)| Line {
            group: Some(Group::new(dimension, name)),
            rows: 1,
            left_out: 0,
            estimate: None,
        };
        let whole = Line { group: None, rows: 1, left_out: 0, estimate: None };
        let lines = names.iter().map(line).collect();
        Table { whole, lines, card: None, absent: Vec::new(), drawn: (0, 0) }
    }

    fn taken(names: &[(&'static str, &str)]) -> (Vec<String>, usize) {
        let mut table = table(names);
        let names = take(&mut table).into_iter().filter_map(|line| Some(line.group?.name)).collect();
        (names, table.lines.len())
    }

    #[test]
    fn lengths_stand_in_their_order_apart_from_other_categories() {
        let found = taken(&[("domain", "x"), ("duration", "long"), ("duration", "medium"), ("duration", "short")]);
        assert_eq!(found, (["short", "medium", "long"].map(str::to_owned).to_vec(), 1));
        let names = [900.0, 1e9, 15.0, 16.0].map(|secs| (LENGTH, name(Some(secs))));
        let expected = ["up to 15 s", "15 s to 1 min", "10 to 30 min", "over 60 min"];
        assert_eq!(taken(&names), (expected.map(str::to_owned).to_vec(), 0));
        let found = taken(&[("duration group", "15"), ("duration group", "600"), ("duration group", "3600")]);
        assert_eq!(found.0, ["15", "600", "3600"]);
    }
}
