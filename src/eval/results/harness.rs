//! The harness's own figures over the records of a run, part by part, and the file that it hands in.

use serde_json::{Map, Value};

use super::record::ResultRecord;
use crate::eval::score::{Aggregate, AggregateError, aggregate, mean_of_parts, submission};
use crate::eval::{Benchmark, Harness, Split, judge};

/// What a row hands to the harness's aggregate.
type Handed = Map<String, Value>;

/// The harness's figures of one part; of VideoChatGPT, of one side that is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct PartFigures {
    /// The part; `None` where the benchmark is one table.
    pub part: Option<String>,
    /// Rows behind them.
    pub rows: usize,
    /// The figures, or why the harness has none.
    pub aggregate: Result<Aggregate, AggregateError>,
}

/// The harness's figures over all rows that have an answer; of a judged benchmark, over those that have a verdict.
pub fn harness_figures(records: &[ResultRecord]) -> Vec<PartFigures> {
    let Some((benchmark, harness, split)) = common(records) else { return Vec::new() };
    let mut parts: Vec<(Option<String>, Vec<Handed>)> = Vec::new();
    for (part, record) in records.iter().flat_map(|record| handed_on(benchmark, record)) {
        match parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, of_part)) => of_part.push(record),
            None => parts.push((part, vec![record])),
        }
    }
    let figures = |(part, records): (_, Vec<_>)| PartFigures {
        part,
        rows: records.len(),
        aggregate: aggregate(benchmark, harness, split, &records),
    };
    parts.into_iter().map(figures).collect()
}

/// The one figure that the harness leaves to hand, where a benchmark has several parts: their mean. `None` where a part
/// has no figure.
pub fn harness_mean(figures: &[PartFigures]) -> Option<f64> {
    let is_in_parts = figures.iter().all(|figures| figures.part.is_some());
    let value = |figures: &PartFigures| figures.aggregate.as_ref().ok().and_then(Aggregate::value);
    mean_of_parts(&figures.iter().map(value).collect::<Option<Vec<_>>>().filter(|_| is_in_parts)?)
}

/// The file to hand in, where the harness has one; `time` is in its name.
pub fn handed_in(records: &[ResultRecord], time: &str) -> Option<submission::Submission> {
    let (benchmark, _, split) = common(records)?;
    let lines: Vec<_> = records.iter().filter_map(|record| answered(record)).cloned().collect();
    match (benchmark, split) {
        (Benchmark::EgoSchema, Split::Card) => Some(submission::egoschema(&lines, time)),
        (Benchmark::PerceptionTest, Split::Test) => Some(submission::perceptiontest(lines, time)),
        (Benchmark::LongVideoBench, Split::Test) => Some(submission::longvideobench(&lines)),
        _ => None,
    }
}

fn common(records: &[ResultRecord]) -> Option<(Benchmark, Harness, Split)> {
    let eval = &records.first()?.eval;
    Some((eval.benchmark?, eval.harness.unwrap_or_default(), eval.split))
}

fn answered(record: &ResultRecord) -> Option<&Handed> {
    (record.status.is_done() && record.eval.output.is_some()).then_some(&record.eval.record)
}

fn handed_on(benchmark: Benchmark, record: &ResultRecord) -> Vec<(Option<String>, Handed)> {
    let eval = &record.eval;
    if judge::sides(benchmark, eval.part.as_deref()).is_none() {
        return answered(record).map(|fields| (eval.part.clone(), fields.clone())).into_iter().collect();
    }
    let part = |side: &str| (benchmark == Benchmark::VideoChatGpt).then(|| side.to_owned());
    eval.verdicts.iter().filter_map(|said| Some((part(&said.side), said.verdict.clone()?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn parts_have_their_own_figures_and_a_mean() {
        let of = |row, part: &str, score| {
            let handed = json!({ "pred_answer": "A", "gt_answer": "A", "score": score });
            record(row, json!({ "benchmark": "mvbench", "part": part, "record": handed }))
        };
        let records = [of(0, "moving_count", 1), of(1, "moving_count", 0), of(0, "state_change", 1)];
        let figures = harness_figures(&records);
        let values: Vec<_> = figures
            .iter()
            .map(|part| (part.part.as_deref(), part.rows, part.aggregate.as_ref().unwrap().value()))
            .collect();
        assert_eq!(values, [(Some("moving_count"), 2, Some(50.0)), (Some("state_change"), 1, Some(100.0))]);
        assert_eq!(harness_mean(&figures), Some(75.0));
        assert_eq!(handed_in(&records, "t"), None);
    }

    #[test]
    fn sides_of_a_judge_are_parts() {
        let verdicts =
            json!([{ "side": "correctness", "verdict": { "score": 4 } }, { "side": "context", "verdict": null }]);
        let records = [record(0, json!({ "benchmark": "videochatgpt", "part": "Generic", "verdicts": verdicts }))];
        let figures = harness_figures(&records);
        assert_eq!((figures.len(), figures[0].part.as_deref()), (1, Some("correctness")));
        assert_eq!(figures[0].aggregate.as_ref().unwrap().value(), Some(4.0));
    }

    #[test]
    fn a_type_that_the_harness_does_not_know_ends_it() {
        let handed = json!({ "question_id": "q", "task_type": "count", "pred_answer": "A", "answer": "A" });
        let figures = harness_figures(&[record(0, json!({ "benchmark": "mlvu", "record": handed }))]);
        assert!(matches!(figures[0].aggregate, Err(AggregateError::UnknownCategory { .. })));
        assert_eq!(harness_mean(&figures), None);
    }

    #[test]
    fn files_for_servers_are_those_of_their_splits() {
        let of = |benchmark: &str, split: &str, handed: Value| {
            handed_in(&[record(0, json!({ "benchmark": benchmark, "split": split, "record": handed }))], "t")
        };
        let file = of("egoschema", "card", json!({ "v": 2 })).unwrap();
        assert_eq!(
            (file.name.as_str(), file.text.as_str()),
            ("inference_results_egoschema_MC_t.json", "{\n    \"v\": 2\n}")
        );
        assert_eq!(of("longvideobench", "test", json!({ "v": "A" })).unwrap().text, "{\"v\": \"A\"}");
        assert_eq!(of("longvideobench", "card", json!({})), None);
    }
}
