//! The words of a page: names, headings, and what its figures mean. The same in every format.

use super::judge::Judge;
use super::text::{count, counted, number, signed, visible};
use crate::eval::compare::{CompareError, Comparison};
use crate::eval::interval::{Estimate, Interval};
use crate::eval::score::Absence;
use crate::eval::{Benchmark, Split};

/// The heading over all runs.
pub(super) fn overview(has_card: bool) -> &'static str {
    if has_card { "Beside the model card" } else { "All runs" }
}

/// A benchmark as its publishers write it; people's own questions have none.
pub(super) fn title(benchmark: Option<Benchmark>) -> &'static str {
    match benchmark {
        Some(Benchmark::ActivityNetQa) => "ActivityNet-QA",
        Some(Benchmark::EgoSchema) => "EgoSchema",
        Some(Benchmark::EgoSchemaSubset) => "EgoSchema subset",
        Some(Benchmark::Mlvu) => "MLVU",
        Some(Benchmark::MvBench) => "MVBench",
        Some(Benchmark::NextQa) => "NExT-QA",
        Some(Benchmark::PerceptionTest) => "PerceptionTest",
        Some(Benchmark::VideoChatGpt) => "VideoChatGPT",
        Some(Benchmark::VideoDc) => "VideoDC",
        Some(Benchmark::LongVideoBench) => "LongVideoBench",
        Some(Benchmark::VideoMme) => "VideoMME",
        None => "Own questions",
    }
}

/// What a split other than the card's adds to the title.
pub(super) fn split(split: Split) -> Option<&'static str> {
    match split {
        Split::Card => None,
        Split::Test => Some("test split"),
    }
}

/// The heading of a dimension's table.
pub(super) fn dimension(benchmark: Option<Benchmark>, dimension: &str) -> String {
    match (benchmark, dimension) {
        (Some(Benchmark::MvBench), "part") => "By task".to_owned(),
        (Some(Benchmark::VideoChatGpt), "part") => "By side that is judged".to_owned(),
        (_, "duration") => "By length of clip".to_owned(),
        (_, "duration group") => "By length of clip (up to so many seconds)".to_owned(),
        (_, other) => format!("By {}", visible(other)),
    }
}

/// Why rows are in no figure.
pub(super) fn absence(why: Absence) -> &'static str {
    match why {
        Absence::NoVideo => "Video missing",
        Absence::FailedClip => "Clip failed",
        Absence::NoOutput => "No answer",
        Absence::NoVerdict => "No verdict",
    }
}

/// A figure with its interval.
pub(super) fn estimate(estimate: Option<&Estimate>, decimals: usize) -> String {
    let Some(estimate) = estimate else { return "no figure".to_owned() };
    let mean = number(estimate.mean, decimals);
    match estimate.interval {
        Some(Interval { low, high, .. }) => {
            format!("{mean}, interval {} to {}", number(low, decimals), number(high, decimals))
        }
        None => format!("{mean}, no interval"),
    }
}

/// How many answers were drawn, and what that adds.
pub(super) fn drawn((drawn, right): (usize, usize), points: Option<f64>) -> String {
    let answers = counted(drawn, "answer");
    let by_luck = format!("Drawn at random: {answers}, of which {} happen to be right", count(right));
    match points {
        Some(points) => format!("{by_luck}; that is {} points of the figure.", number(points, 1)),
        None => format!("{by_luck}."),
    }
}

/// Who judged, when, and how much.
pub(super) fn judge(judge: &Judge) -> String {
    let days = match &judge.days {
        Some((first, last)) if first == last => format!(" on {first}"),
        Some((first, last)) => format!(" from {first} to {last}"),
        None => " at a time that is not recorded".to_owned(),
    };
    format!("Judged by {}{days}: {}.", judge.name, counted(judge.verdicts, "verdict"))
}

/// What a run gains on another of the same benchmark.
pub(super) fn comparison(found: &Result<Comparison, CompareError>, decimals: usize) -> String {
    let Comparison { difference, gained, lost, same, only_first, only_second, .. } = match found {
        Ok(found) => found,
        Err(error) => return format!("The runs cannot be compared: {}.", visible(&error.to_string())),
    };
    let Some(difference) = difference else { return "The runs have no rows in common.".to_owned() };
    let interval = match difference.interval {
        Some(Interval { low, high, .. }) => {
            format!("95 % interval {} to {}", signed(low, decimals), signed(high, decimals))
        }
        None => "no interval".to_owned(),
    };
    let alone = match only_first + only_second {
        0 => String::new(),
        alone => format!(" {} in one of the runs only.", counted(alone, "row")),
    };
    format!(
        "Over the {} that both runs have, this one differs by {}, {interval}: better in {}, worse in {}, the same in \
         {}.{alone}",
        counted(difference.rows, "row"),
        signed(difference.mean, decimals),
        count(*gained),
        count(*lost),
        count(*same),
    )
}

pub(super) const ACCURACY: &str = "Accuracy, per cent";
pub(super) const POINTS: &str = "A judge's score, 0 to 5";

pub(super) const NO_SETTING: &str = "(no such setting)";

pub(super) const NOTHING_MISSING: &str = "Nothing: every row of every benchmark here is in its figure.";

pub(super) const CARD: &str = "The card's numbers are those of LLaVA-Video-7B-Qwen2-Video-Only as its authors publish \
    them: ten numbers, without settings, intervals or the name of a judge.";

pub(super) const INTERVALS: &str = "Intervals are of 95 %. Questions about one video are right or wrong together, so \
    standard errors are clustered by video and widened for few videos (Liang and Zeger 1986; Cameron and Miller 2015; \
    Miller 2024, arXiv 2411.00640). An interval tells how far the figure might move with other videos of the same \
    kind. It knows nothing of other frames, prompts or checkpoints.";

pub(super) const READING: &str = "Ours is called higher or lower where the card's number lies outside our interval, \
    and level where it lies within. Level is no proof of being equal: a wide interval holds much.";

pub(super) const LOGPROB: &str = "Answers are the likeliest of the options' letters. The harness reads generated text \
    instead, so this is another measure than the card's.";

pub(super) const DRIFT: &str = "Judges drift: the same name does not promise the same judge at another time, and other \
    judges are stricter or milder. Rows that are judged are not comparable across judges, nor with the card, whose \
    judge is not known.";

pub(super) const DRAWS: &str = "Where the harness finds no answer in a text, it draws one at random. Draws here are \
    seeded; their number and what they add are told with each benchmark.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_has_a_title_of_its_own() {
        let mut titles: Vec<_> = Benchmark::ALL.into_iter().map(|one| title(Some(one))).collect();
        titles.push(title(None));
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), Benchmark::ALL.len() + 1);
    }
}
