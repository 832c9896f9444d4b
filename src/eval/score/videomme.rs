//! The harness's figures of VideoMME: the share over all rows, and those of lengths, domains, sub-categories and tasks.

use serde_json::{Map, Value};

use super::figure::{Aggregate, AggregateError, Tally, text};
use crate::eval::Harness;

const DURATIONS: [&str; 3] = ["short", "medium", "long"];
const DOMAINS: [&str; 6] =
    ["Knowledge", "Film & Television", "Sports Competition", "Artistic Performance", "Life Record", "Multilingual"];
const SUB_CATEGORIES: [&str; 30] = [
    "Humanity & History",
    "Literature & Art",
    "Biology & Medicine",
    "Finance & Commerce",
    "Astronomy",
    "Geography",
    "Law",
    "Life Tip",
    "Technology",
    "Animation",
    "Movie & TV Show",
    "Documentary",
    "News Report",
    "Esports",
    "Basketball",
    "Football",
    "Athletics",
    "Other Sports",
    "Stage Play",
    "Magic Show",
    "Variety Show",
    "Acrobatics",
    "Handicraft",
    "Food",
    "Fashion",
    "Daily Life",
    "Travel",
    "Pet & Animal",
    "Exercise",
    "Multilingual",
];
const TASKS: [&str; 12] = [
    "Temporal Perception",
    "Spatial Perception",
    "Attribute Perception",
    "Action Recognition",
    "Object Recognition",
    "OCR Problems",
    "Counting Problem",
    "Temporal Reasoning",
    "Spatial Reasoning",
    "Action Reasoning",
    "Object Reasoning",
    "Information Synopsis",
];

/// How a dimension is called in the log, its field in the records, and its values in the order of the log.
const DIMENSIONS: [(&str, &str, &[&str]); 4] = [
    ("video Type", "duration", &DURATIONS),
    ("Categories", "category", &DOMAINS),
    ("Video Sub Categories", "sub_category", &SUB_CATEGORIES),
    ("Task Categories", "task_category", &TASKS),
];

pub(super) fn aggregate(harness: Harness, records: &[Map<String, Value>]) -> Result<Aggregate, AggregateError> {
    // The harness counts by all four joined, and then by whether a name is part of that.
    let mut joined: Vec<(String, Tally)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let mut names = Vec::new();
        for (_, field, known) in DIMENSIONS {
            let name = text(index, record, field)?;
            if !known.contains(&name) {
                return Err(AggregateError::UnknownCategory { column: field, name: name.to_owned() });
            }
            names.push(name);
        }
        let names = names.join("_");
        let is_right = text(index, record, "pred_answer")? == text(index, record, "answer")?;
        match joined.iter_mut().find(|(known, _)| *known == names) {
            Some((_, tally)) => tally.add(is_right),
            None => {
                joined.push((names, Tally::default()));
                if let Some((_, tally)) = joined.last_mut() {
                    tally.add(is_right);
                }
            }
        }
    }
    let of = |name: &str| joined.iter().filter(|(names, _)| names.contains(name)).map(|(_, tally)| *tally).sum();
    let mut log = Vec::new();
    for (title, _, names) in DIMENSIONS {
        for name in names {
            let tally: Tally = of(name);
            log.push(format!("Evaluation on {title}: {name}:  {:.1}%", tally.percent()));
        }
    }
    let value = of("").percent();
    log.push(format!("Overall Performance:  {value:.1}%"));
    // The name had a letter less in 2024.
    let name = match harness {
        Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => "videomme_percetion_score",
        Harness::Head => "videomme_perception_score",
    };
    Ok(Aggregate { log, ..Aggregate::one(name, value) })
}
