//! Judged benchmarks: what a language model is asked about an answer, what its reply means, and what failures become.

mod client;
pub mod literal;
mod literal_number;
mod literal_reader;
mod literal_text;
mod messages;
mod pairs;
mod reply;
mod retry;
mod run;

pub use self::client::{Answer, Client, ClientError, Endpoint};
pub use self::messages::{Message, Question, Side, messages, request_body};
pub use self::pairs::{ConsistencyAnswer, ConsistencyPair, pair};
pub use self::reply::{Verdict, VerdictError, read_activitynetqa, read_score, verdict};
pub use self::retry::{Attempt, Outcome, Persistence, Retry, Step};
pub use self::run::{Judged, Manner, RunError, Store, Task, judge_all, request_key};

use super::{Benchmark, Harness};

/// The judge of the harness's tree, unless somebody names another.
pub fn default_model(harness: Harness) -> &'static str {
    match harness {
        Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => "gpt-3.5-turbo-0613",
        Harness::Head => "gpt-4o-2024-11-20",
    }
}

/// The sides on which an answer is judged, in the harness's order. `part` is VideoChatGPT's; `None` where the benchmark
/// is not judged, or has no such part.
pub fn sides(benchmark: Benchmark, part: Option<&str>) -> Option<&'static [Side]> {
    Some(match (benchmark, part) {
        (Benchmark::ActivityNetQa, _) => &[Side::ActivityNetQa],
        (Benchmark::VideoDc, _) => &[Side::VideoDc],
        (Benchmark::VideoChatGpt, Some("Generic")) => &[Side::Correctness, Side::DetailedOrientation, Side::Context],
        (Benchmark::VideoChatGpt, Some("Temporal")) => &[Side::Temporal],
        (Benchmark::VideoChatGpt, Some("Consistency")) => &[Side::Consistency],
        _ => return None,
    })
}

#[cfg(test)]
mod harness_tests;
