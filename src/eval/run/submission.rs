//! The file that goes to a server, from the records of a run.

use serde_json::{Map, Value};

use crate::eval::Benchmark;
use crate::eval::results::ResultRecord;
use crate::eval::score::submission::{self, Submission, has_submission};

/// The file of answers, where a server scores them; rows without an answer are not in it. `time` as
/// `YYYY-MM-DD-HH-MM-SS`.
pub fn submission(records: &[ResultRecord], time: &str) -> Option<Submission> {
    let common = &records.first()?.eval;
    let benchmark = common.benchmark.filter(|&benchmark| has_submission(benchmark, common.split))?;
    let answered = records.iter().filter(|record| record.eval.output.is_some());
    let lines: Vec<Map<String, Value>> = answered.map(|record| record.eval.record.clone()).collect();
    match benchmark {
        Benchmark::EgoSchema => Some(submission::egoschema(&lines, time)),
        Benchmark::PerceptionTest => Some(submission::perceptiontest(lines, time)),
        Benchmark::LongVideoBench => Some(submission::longvideobench(&lines)),
        _ => None,
    }
}
