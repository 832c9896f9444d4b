//! `eval compare`: two runs over the same rows, and what one gains on the other.

use std::path::Path;

use anyhow::{Result, bail};
use llava_video::eval::compare::{Comparison, compare};
use llava_video::eval::results::{Eval, Results, outcome, read};
use llava_video::eval::score::{Averaging, Sample, averaging, scale};
use llava_video::size::counted;
use serde_json::{Map, Value, json};

use crate::cli::args::EvalCompareArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

pub(super) fn run(args: &EvalCompareArgs, printer: &mut Printer) -> Result<Exit> {
    let a = Run::read(&args.a, args.digest_a.as_deref(), printer)?;
    let b = Run::read(&args.b, args.digest_b.as_deref(), printer)?;
    refuse_what_cannot_be_paired(&a, &b)?;
    let scale = a.common.benchmark.map_or(100.0, scale);
    let found = compare(&a.samples, &b.samples, &a.averaging, scale)?;
    if found.figures.is_none() {
        bail!("`{}` and `{}` have no scored row in common", args.a.display(), args.b.display());
    }
    let differing = differing_settings(&a, &b);
    if args.json {
        printer.line(&object(&a, &b, &found, &differing, printer.warnings()).to_string())?;
        return Ok(Exit::Done);
    }
    for line in lines(&a, &b, &found, &differing) {
        printer.line(&line)?;
    }
    Ok(Exit::Done)
}

/// One of the two runs.
struct Run<'a> {
    path: &'a Path,
    digest: String,
    common: Eval,
    averaging: Averaging,
    samples: Vec<Sample>,
    absent: usize,
    judges: Vec<String>,
}

impl<'a> Run<'a> {
    fn read(path: &'a Path, digest: Option<&str>, printer: &mut Printer) -> Result<Self> {
        let Results { records, is_torn, .. } = read(path, digest)?;
        if is_torn {
            printer.warning(&format!("`{}` ends in the middle of a record, which is left out", path.display()));
        }
        let Some(first) = records.first() else { bail!("`{}` holds no records", path.display()) };
        let (common, digest) = (first.eval.clone(), first.digest.clone());
        let averaging = common.benchmark.map_or(Averaging::Rows, |benchmark| {
            averaging(benchmark, common.harness.unwrap_or_default(), common.split)
        });
        let mut judges: Vec<String> =
            records.iter().flat_map(|record| &record.eval.verdicts).filter_map(|said| said.judge.clone()).collect();
        judges.sort();
        judges.dedup();
        let found = outcome(&records);
        Ok(Self { path, digest, common, averaging, samples: found.samples, absent: found.absent.len(), judges })
    }

    fn object(&self, figure: Option<f64>) -> Value {
        let Eval { harness, protocol, scoring, .. } = &self.common;
        json!({
            "path": self.path.to_string_lossy(),
            "digest": self.digest,
            "harness": harness.map(|harness| harness.name()),
            "protocol": protocol.map(|protocol| protocol.name()),
            "scoring": scoring.name(),
            "judges": self.judges,
            "figure": figure,
            "rows": self.samples.len(),
            "not_scored": self.absent,
        })
    }
}

/// Rows are paired by their numbers, and figures by what they average.
fn refuse_what_cannot_be_paired(a: &Run<'_>, b: &Run<'_>) -> Result<()> {
    let refused = |what: &str, of: [String; 2]| {
        anyhow::anyhow!(
            "`{}` and `{}` cannot be compared: {what} is {} in one and {} in the other",
            a.path.display(),
            b.path.display(),
            of[0],
            of[1]
        )
    };
    let runs = [&a.common, &b.common];
    if a.common.benchmark != b.common.benchmark {
        return Err(refused("the benchmark", runs.map(|run| run.name().to_owned())));
    }
    if a.common.split != b.common.split {
        return Err(refused("the split", runs.map(|run| run.split.to_string())));
    }
    if a.averaging != b.averaging {
        let average = |run: &Run<'_>| match &run.averaging {
            Averaging::Rows => "a mean over rows".to_owned(),
            Averaging::Parts => "a mean over parts".to_owned(),
            Averaging::Names { dimension, .. } => format!("a mean over each {dimension}"),
        };
        return Err(refused("the figure", [average(a), average(b)]));
    }
    if a.judges != b.judges {
        let judges = |run: &Run<'_>| match run.judges.as_slice() {
            [] => "nobody".to_owned(),
            judges => judges.join(" and "),
        };
        return Err(refused("the judge", [judges(a), judges(b)]));
    }
    Ok(())
}

/// The names and values of what was set otherwise.
fn differing_settings(a: &Run<'_>, b: &Run<'_>) -> Map<String, Value> {
    let settings = |run: &Run<'_>| {
        let Eval { harness, protocol, scoring, settings, .. } = &run.common;
        let mut all = Map::new();
        all.insert("harness".to_owned(), json!(harness.map(|harness| harness.name())));
        all.insert("protocol".to_owned(), json!(protocol.map(|protocol| protocol.name())));
        all.insert("scoring".to_owned(), json!(scoring.name()));
        all.extend(settings.clone());
        all
    };
    let (a, b) = (settings(a), settings(b));
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let pair = |name: &String| [&a, &b].map(|all| all.get(name).cloned().unwrap_or_default());
    let differing = names.map(|name| (name.clone(), pair(name))).filter(|(_, [a, b])| a != b);
    differing.map(|(name, pair)| (name, json!(pair))).collect()
}

fn object(a: &Run<'_>, b: &Run<'_>, found: &Comparison, differing: &Map<String, Value>, warnings: &[String]) -> Value {
    let interval = found.difference.and_then(|difference| difference.interval);
    json!({
        "benchmark": a.common.name(),
        "split": a.common.split.name(),
        "a": a.object(found.figures.map(|(a, _)| a)),
        "b": b.object(found.figures.map(|(_, b)| b)),
        "difference": found.difference.map(|difference| difference.mean),
        "interval": interval,
        "rows": found.difference.map_or(0, |difference| difference.rows),
        "videos": found.difference.map_or(0, |difference| difference.clusters),
        "gained": found.gained,
        "lost": found.lost,
        "same": found.same,
        "only_a": found.only_first,
        "only_b": found.only_second,
        "differing": differing,
        "warnings": warnings,
    })
}

fn lines(a: &Run<'_>, b: &Run<'_>, found: &Comparison, differing: &Map<String, Value>) -> Vec<String> {
    let mut lines = vec![format!("{}, split {}", a.common.name(), a.common.split)];
    let (first, second) = found.figures.unwrap_or_default();
    lines.push(format!("A  {first:>6.2}  `{}`", a.path.display()));
    lines.push(format!("B  {second:>6.2}  `{}`", b.path.display()));
    if let Some(difference) = found.difference {
        let interval = match difference.interval {
            Some(interval) => format!("95 % interval {:+.2} to {:+.2}", interval.low, interval.high),
            None => "no interval: too few videos, or nothing varies".to_owned(),
        };
        let (rows, videos) = (counted(difference.rows, "row"), counted(difference.clusters, "video"));
        lines.push(format!("B - A  {:+.2}, {interval}, over {rows} about {videos}", difference.mean));
    }
    let Comparison { gained, lost, same, only_first, only_second, .. } = found;
    lines.push(format!("B has more on {}, A on {lost}, both the same on {same}", counted(*gained, "row")));
    lines.push(format!(
        "scored in A only: {}; in B only: {}",
        counted(*only_first, "row"),
        counted(*only_second, "row")
    ));
    for (name, values) in differing {
        lines.push(format!("{name}: {} in A, {} in B", values[0], values[1]));
    }
    lines
}
