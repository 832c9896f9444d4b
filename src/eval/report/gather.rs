//! From files of results to the model of a page: files that hold shards of one run are one, several runs of a benchmark
//! stay apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::judge::Judge;
use super::length;
use super::missing::gaps;
use super::model::Run;
use super::page::Report;
use super::pair::pairs;
use super::settings::{Gathered, flat};
use super::text::visible;
use crate::eval::data;
use crate::eval::list::facts;
use crate::eval::protocol::Protocol;
use crate::eval::results::{
    Eval, Outcome, PartFigures, ResultRecord, ResultsError, Scoring, figures, harness_figures, harness_mean, outcome,
    read,
};
use crate::eval::score::{Averaging, averaging, scale};
use crate::eval::{Benchmark, Harness, Split};

/// A file that a report is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As it was named.
    pub name: String,
    /// Records that count within it.
    pub records: usize,
    /// Whether it ends in the middle of a record, which is left out.
    pub is_torn: bool,
}

/// Reads `paths` and makes the model of a page of them. Of the records of one row and run the last counts, files in
/// the order in which they are named.
///
/// # Errors
/// A file that cannot be read, or that holds something else.
pub fn gather(paths: &[PathBuf], date: &str, program: &str) -> Result<Report, ResultsError> {
    let (mut files, mut pools) = (Vec::new(), Pools::default());
    for path in paths {
        let found = match read(path, None) {
            Err(ResultsError::SeveralRuns { digests, .. }) => {
                digests.iter().map(|(digest, _)| read(path, Some(digest))).collect::<Result<_, _>>()?
            }
            found => vec![found?],
        };
        files.push(File {
            name: visible(&path.display().to_string()),
            records: found.iter().map(|results| results.records.len()).sum(),
            is_torn: found.iter().any(|results| results.is_torn),
        });
        found.into_iter().flat_map(|results| results.records).for_each(|record| pools.add(record));
    }
    let runs = pools.runs();
    let pairs = pairs(&runs);
    Ok(Report { date: date.to_owned(), program: program.to_owned(), files, runs, pairs })
}

/// What tells runs apart. Harness and the like are part of a digest; who writes files by hand may forget it.
type Key = (Option<Benchmark>, Split, Option<Harness>, Option<Protocol>, Scoring, String);

/// Records by run, and where that of each row is.
#[derive(Default)]
struct Pools {
    pools: Vec<(Key, Vec<ResultRecord>)>,
    places: HashMap<(usize, String), usize>,
}

impl Pools {
    fn add(&mut self, record: ResultRecord) {
        let Eval { benchmark, split, harness, protocol, scoring, .. } = record.eval;
        let key = (benchmark, split, harness, protocol, scoring, record.digest.clone());
        let pool = self.pools.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.pools.push((key, Vec::new()));
            self.pools.len() - 1
        });
        let records = &mut self.pools[pool].1;
        match self.places.get(&(pool, record.id.clone())) {
            Some(&place) => records[place] = record,
            None => {
                self.places.insert((pool, record.id.clone()), records.len());
                records.push(record);
            }
        }
    }

    /// In the order of the card; those of one benchmark in the order of the files.
    fn runs(self) -> Vec<Run> {
        let mut runs: Vec<Run> = self.pools.into_iter().map(|(key, records)| run(&key, records)).collect();
        let place = |run: &Run| (run.benchmark.is_none(), run.benchmark, run.split == Split::Test);
        runs.sort_by_key(place);
        let places: Vec<_> = runs.iter().map(place).collect();
        for (index, run) in runs.iter_mut().enumerate() {
            let mates = places.iter().filter(|&&mate| mate == places[index]).count();
            let before = places[..index].iter().filter(|&&mate| mate == places[index]).count();
            run.mark = (mates > 1).then_some(before + 1);
        }
        runs
    }
}

fn run(key: &Key, mut records: Vec<ResultRecord>) -> Run {
    let (benchmark, split, harness, _, scoring, _) = *key;
    // In an order of their own, so that sums are the same however the files are cut.
    records.sort_by(|a, b| (&a.eval.part, a.eval.row).cmp(&(&b.eval.part, b.eval.row)));
    length::tell(&mut records);
    let found = outcome(&records);
    let Outcome { samples, absent, unscored, .. } = found.clone();
    let mut table = match records.first() {
        Some(first) => found.table(&first.eval),
        None => figures(&[]),
    };
    let lengths = length::take(&mut table);
    let rows: BTreeSet<(Option<&str>, usize)> = records
        .iter()
        .map(|ResultRecord { eval, .. }| (eval.part.as_deref(), eval.row))
        .chain(absent.iter().map(|absent| (absent.part.as_deref(), absent.row)))
        .collect();
    let published = benchmark.filter(|_| split == Split::Card);
    let parts = published.map(data::parts).unwrap_or_default();
    let (judges, by_failure) = judges(&records);
    Run {
        benchmark,
        split,
        scoring,
        mark: None,
        digest: visible(&key.5),
        lengths,
        gaps: gaps(&absent),
        unscored,
        rows: rows.len().saturating_sub(absent.len() + unscored + table.whole.left_out),
        published: published.map(|benchmark| facts(benchmark).rows),
        unseen: published.map_or(0, |benchmark| facts(benchmark).rows.saturating_sub(rows.len())),
        unseen_parts: parts.into_iter().filter(|&part| rows.iter().all(|(seen, _)| *seen != Some(part))).collect(),
        videos: samples.iter().map(|sample| &sample.video).collect::<BTreeSet<_>>().len(),
        averaging: match benchmark {
            Some(benchmark) => averaging(benchmark, harness.unwrap_or_default(), split),
            None => Averaging::Rows,
        },
        scale: benchmark.map_or(100.0, scale),
        harness: harness_prints(&records),
        settings: settings(key, &records),
        undrawn: records.iter().filter(|record| is_undrawn(&record.eval)).count(),
        judges,
        by_failure,
        samples,
        table,
    }
}

/// Whether the harness would draw the answer, and nobody did.
fn is_undrawn(eval: &Eval) -> bool {
    eval.drawn.is_none() && eval.parsed.as_ref().is_some_and(|parsed| parsed.random_from().is_some())
}

/// What the harness itself would print: names with figures; of many parts only their mean, as tables have the rest.
fn harness_prints(records: &[ResultRecord]) -> Vec<String> {
    const FEW: usize = 6;
    let parts = harness_figures(records);
    let mean = harness_mean(&parts).map(|mean| format!("mean of the parts {mean:.4}"));
    let is_summed_up = mean.is_some() && parts.len() > FEW;
    let mut prints = Vec::new();
    for PartFigures { part, aggregate, .. } in parts.into_iter().filter(|_| !is_summed_up) {
        let part = part.map(|part| format!("{} ", visible(&part))).unwrap_or_default();
        match aggregate {
            Ok(found) => {
                prints.extend(found.figures.iter().map(|figure| format!("{part}{} {}", figure.name, figure.printed())));
            }
            Err(error) => prints.push(format!("nothing, as {}", visible(&error.to_string()))),
        }
    }
    prints.dedup();
    prints.extend(mean);
    prints
}

/// Every setting: what the run was told, what it ran on, and what its answers depend on.
fn settings((_, split, harness, protocol, scoring, digest): &Key, records: &[ResultRecord]) -> Vec<(String, String)> {
    /// Keys of a record of `batch` that say what answered.
    const MADE_WITH: [&str; 5] = ["model", "device", "dtype", "kernels", "quantize"];
    let mut settings = Gathered::default();
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let none = "\u{2013}";
    settings.add([
        set("protocol", &protocol.map_or(none.to_owned(), |found| format!("{found}: {}", found.reason()))),
        set("harness", harness.map_or(none, Harness::name)),
        set("split", split.name()),
        set("scoring", scoring.name()),
        set("digest", digest),
    ]);
    for record in records {
        if record.status.is_done() {
            let made_with =
                MADE_WITH.into_iter().filter_map(|key| Some((key.to_owned(), record.rest.get(key)?.clone())));
            settings.add(flat(&made_with.collect()));
        }
        settings.add(flat(&record.eval.settings));
    }
    settings.settings()
}

/// Who judged, and how many verdicts are no judge's.
fn judges(records: &[ResultRecord]) -> (Vec<Judge>, usize) {
    let mut by_failure = 0;
    let mut judges: BTreeMap<String, (usize, Option<(String, String)>)> = BTreeMap::new();
    for side in records.iter().flat_map(|record| &record.eval.verdicts) {
        if side.is_by_failure {
            by_failure += 1;
            continue;
        }
        if side.verdict.is_none() {
            continue;
        }
        let name = side.model.as_deref().map_or_else(|| "a judge that gives no name".to_owned(), visible);
        let (verdicts, days) = judges.entry(name).or_default();
        *verdicts += 1;
        if let Some(day) = side.at.as_deref().map(|at| visible(at.split('T').next().unwrap_or(at))) {
            let (first, last) = days.get_or_insert_with(|| (day.clone(), day.clone()));
            *first = first.clone().min(day.clone());
            *last = last.clone().max(day);
        }
    }
    let judge = |(name, (verdicts, days))| Judge { name, days, verdicts };
    (judges.into_iter().map(judge).collect(), by_failure)
}
