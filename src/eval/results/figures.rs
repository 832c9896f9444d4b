//! From records to figures: what counts, what is missing, and the table over both.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Eval, ResultRecord, kind};
use crate::batch::Status;
use crate::eval::list::{facts, part_rows};
use crate::eval::score::{Absence, Absent, Averaging, Sample, Table, averaging, judged_samples, scale, table};
use crate::eval::{Benchmark, Split, data, judge};

/// What the records of a run come to, row by row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Rows that are in the figures; of VideoChatGPT one for each side that was judged.
    pub samples: Vec<Sample>,
    /// Rows that are not, and why; those without any record among them.
    pub absent: Vec<Absent>,
    /// Rows that have an answer whose worth only a server knows.
    pub unscored: usize,
    /// Rows whose answer was drawn, and how many of those are right by that.
    pub drawn: (usize, usize),
}

impl Outcome {
    /// The table over it, of a run that has this in common.
    pub fn table(self, common: &Eval) -> Table {
        let Self { samples, absent, drawn, .. } = self;
        let averaging = match common.benchmark {
            Some(benchmark) => averaging(benchmark, common.harness.unwrap_or_default(), common.split),
            None => Averaging::Rows,
        };
        let is_cards = |&benchmark: &Benchmark| common.split == Split::Card && is_of_all_parts(common, benchmark);
        let card = common.benchmark.filter(is_cards).and_then(|benchmark| facts(benchmark).card_score);
        table(&samples, absent, &averaging, common.benchmark.map_or(100.0, scale), card, drawn)
    }
}

/// Whether a run is about all parts, as the card's number is; it is where it does not say which.
fn is_of_all_parts(common: &Eval, benchmark: Benchmark) -> bool {
    let parts = common.settings.get("parts").and_then(|parts| parts.as_array()).map_or(0, Vec::len);
    parts == 0 || parts >= data::parts(benchmark).len()
}

/// The table over records of one run. Rows without a record are in it as absent.
pub fn figures(records: &[ResultRecord]) -> Table {
    match records.first() {
        Some(first) => outcome(records).table(&first.eval),
        None => table(&[], Vec::new(), &Averaging::Rows, 100.0, None, (0, 0)),
    }
}

/// What records of one run come to, and rows that have no record as far as the records say how many there are.
pub fn outcome(records: &[ResultRecord]) -> Outcome {
    let mut outcome = of_records(records);
    outcome.absent.extend(without_record(records));
    outcome
}

/// What records of one run come to; rows without a record are not looked for.
pub fn of_records(records: &[ResultRecord]) -> Outcome {
    let mut outcome = Outcome::default();
    for record in records {
        add(&mut outcome, record);
    }
    outcome
}

fn add(outcome: &mut Outcome, ResultRecord { status, error, eval, .. }: &ResultRecord) {
    let absent = |why, name: &str| Absent { row: eval.row, part: eval.part.clone(), why, name: name.to_owned() };
    match (status, error) {
        (Status::Error, error) => {
            let why = match error.as_ref().map(|error| error.kind.as_str()) {
                Some(kind::NO_VIDEO | "missing") => Absence::NoVideo,
                _ => Absence::FailedClip,
            };
            let name = error.as_ref().map_or("", |error| &error.message);
            outcome.absent.push(absent(why, name));
            return;
        }
        (Status::Skipped, _) => return outcome.absent.push(absent(Absence::NoOutput, &eval.video)),
        (Status::Ok | Status::Truncated, _) if eval.output.is_none() && eval.answer.is_none() => {
            return outcome.absent.push(absent(Absence::NoOutput, &eval.video));
        }
        (Status::Ok | Status::Truncated, _) => {}
    }
    outcome.drawn.0 += usize::from(eval.drawn.is_some());
    outcome.drawn.1 += usize::from(eval.drawn.is_some() && eval.is_correct == Some(true));
    match eval.benchmark.filter(|&benchmark| judge::sides(benchmark, eval.part.as_deref()).is_some()) {
        Some(_) if eval.judged_with.is_some() => {}
        Some(benchmark) => match judged(benchmark, eval) {
            Some(samples) => outcome.samples.extend(samples),
            None => outcome.absent.push(absent(Absence::NoVerdict, &eval.video)),
        },
        None if eval.is_correct.is_none() => outcome.unscored += 1,
        None => outcome.samples.push(sample(eval)),
    }
}

fn sample(eval: &Eval) -> Sample {
    let Eval { row, part, video, groups, value, .. } = eval;
    Sample { row: *row, part: part.clone(), video: video.clone(), groups: groups.clone(), value: *value }
}

/// A sample for each side; `None` where a side has no verdict.
fn judged(benchmark: Benchmark, eval: &Eval) -> Option<Vec<Sample>> {
    let verdicts = eval.verdicts.iter().map(|side| {
        let part = (benchmark == Benchmark::VideoChatGpt).then(|| side.side.clone());
        Some((Sample { part, ..sample(eval) }, side.verdict.clone()?))
    });
    let verdicts = verdicts.collect::<Option<Vec<_>>>().filter(|verdicts| !verdicts.is_empty())?;
    judged_samples(verdicts, benchmark == Benchmark::ActivityNetQa).ok()
}

/// Rows that have no record, as far as the records say how many there are.
pub fn without_record(records: &[ResultRecord]) -> Vec<Absent> {
    let mut there: BTreeMap<&Option<String>, (usize, BTreeSet<usize>)> = BTreeMap::new();
    for ResultRecord { eval, .. } in records {
        let (rows, found) = there.entry(&eval.part).or_default();
        *rows = eval.rows.unwrap_or(0).max(*rows);
        found.insert(eval.row);
    }
    let absent = |part: Option<&str>, row| Absent {
        row,
        part: part.map(str::to_owned),
        why: Absence::NoOutput,
        name: String::new(),
    };
    let of_parts = there.iter().flat_map(|(part, (rows, found))| {
        (0..*rows).filter(|row| !found.contains(row)).map(|row| absent(part.as_deref(), row))
    });
    // Parts that were to run and of which there is nothing at all.
    let common = records.first().map(|record| &record.eval);
    let wanted = common.and_then(|eval| eval.settings.get("parts")?.as_array()).into_iter().flatten();
    let unseen = wanted.filter_map(|part| part.as_str()).filter(|part| !there.contains_key(&Some((*part).to_owned())));
    let of_unseen = unseen.flat_map(|part| {
        let rows = common.and_then(|eval| part_rows(eval.benchmark?, part)).unwrap_or(0);
        (0..rows).map(move |row| absent(Some(part), row))
    });
    of_parts.chain(of_unseen).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::record::tests::record;
    use super::*;
    use crate::batch::Failure;

    fn failed(row: usize, kind: &str) -> ResultRecord {
        let error = Some(Failure::new(kind, "v.mp4: no", false));
        ResultRecord { status: Status::Error, error, ..record(row, json!({ "output": null, "answer": null })) }
    }

    #[test]
    fn what_is_missing_is_told_by_its_reason() {
        let records = [record(0, json!({ "rows": 5 })), failed(1, kind::NO_VIDEO), failed(3, "video")];
        let table = figures(&records);
        let absent: Vec<_> = table.absent.iter().map(|absent| (absent.row, absent.why)).collect();
        let (no_output, clip) = (Absence::NoOutput, Absence::FailedClip);
        assert_eq!(absent, [(1, Absence::NoVideo), (3, clip), (2, no_output), (4, no_output)]);
        assert_eq!((table.whole.rows, table.whole.estimate.unwrap().mean, table.card), (1, 100.0, Some(63.2)));
    }

    #[test]
    fn a_part_without_a_record_is_missing_as_a_whole() {
        let settings = json!({ "parts": ["moving_count", "state_change"] });
        let of = |part: &str| json!({ "benchmark": "mvbench", "part": part, "rows": 1, "settings": settings });
        let records = [record(0, of("moving_count"))];
        let found = outcome(&records);
        assert_eq!((found.samples.len(), found.absent.len()), (1, 200));
        assert!(found.absent.iter().all(|absent| absent.part.as_deref() == Some("state_change")));
        // Two of twenty parts do not stand beside the card's number.
        assert_eq!((figures(&records).card, figures(&[record(0, json!({}))]).card), (None, Some(63.2)));
    }

    #[test]
    fn answers_that_a_server_judges_are_counted_and_in_no_figure() {
        let found =
            outcome(&[record(0, json!({ "benchmark": "egoschema", "rows": 1, "gold": null, "is_correct": null }))]);
        assert_eq!((found.samples.len(), found.absent.len(), found.unscored), (0, 0, 1));
    }

    #[test]
    fn draws_are_counted_by_their_luck() {
        let drawn = |row, right: bool| record(row, json!({ "drawn": "B", "is_correct": right, "rows": 2 }));
        assert_eq!(outcome(&[drawn(0, true), drawn(1, false)]).drawn, (2, 1));
    }

    #[test]
    fn judged_rows_count_once_they_are_judged() {
        let row = |eval: Value| {
            let mut eval = eval;
            for (key, value) in [
                ("benchmark", json!("videochatgpt")),
                ("rows", json!(1)),
                ("groups", json!([])),
                ("is_correct", Value::Null),
            ] {
                eval[key] = value;
            }
            record(0, eval)
        };
        let verdict = |side: &str, score: i64| json!({ "side": side, "verdict": { "score": score } });
        let generic = json!([verdict("correctness", 4), verdict("detailed_orientation", 3), verdict("context", 2)]);
        let records = [
            row(json!({ "part": "Generic", "verdicts": generic })),
            row(json!({ "part": "Temporal", "verdicts": [] })),
            row(json!({ "part": "Consistency", "judged_with": 7 })),
        ];
        let table = figures(&records);
        assert_eq!((table.whole.estimate.unwrap().mean, table.lines.len()), (3.0, 3));
        assert_eq!(table.absent.iter().map(|absent| absent.why).collect::<Vec<_>>(), [Absence::NoVerdict]);
        let said = |said: &str| json!([{ "side": "activitynetqa", "verdict": { "Correctness": said, "score": 1 } }]);
        let of = |row, text: &str| {
            record(row, json!({ "benchmark": "activitynetqa", "is_correct": null, "rows": 2, "verdicts": said(text) }))
        };
        let table = figures(&[of(0, "yes"), of(1, "unsure")]);
        assert_eq!((table.whole.rows, table.whole.left_out, table.whole.estimate.unwrap().mean), (1, 1, 100.0));
    }
}
