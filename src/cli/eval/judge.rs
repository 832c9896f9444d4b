//! `eval judge`: what a language model says of the answers of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use llava_video::eval::judge::{
    Client, Endpoint, Judged, Manner, Persistence, RunError, Store, default_model, judge_all,
};
use llava_video::eval::judging::{Judge, JudgedResults, JudgingError, Tasks};
use llava_video::eval::results::{SideVerdict, without_record};
use llava_video::size::counted;
use serde_json::json;

use super::figures::{Figures, Place};
use crate::cli::args::{EvalJudgeArgs, Failures};
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::Printer;
use crate::cli::signals;

pub(super) fn run(args: &EvalJudgeArgs, printer: &mut Printer) -> Result<Exit> {
    let endpoint = endpoint(args, printer)?;
    let judge =
        Judge { model: args.judge_model.clone(), host: endpoint.host().to_owned(), persistence: persistence(args) };
    let results = JudgedResults::open(&args.results, args.digest.as_deref(), judge).map_err(|error| match error {
        // By themselves, for the hints that they have.
        JudgingError::Results(error) => anyhow::Error::from(error),
        JudgingError::Journal(error) => error.into(),
        error @ JudgingError::Tasks { .. } => error.into(),
    })?;
    about_the_judge(args, &results, printer);
    let tasks = results.tasks().clone();
    if !tasks.alone.is_empty() {
        let rows = counted(tasks.alone.len(), "row");
        printer
            .warning(&format!("{rows} of Consistency without a second one about the same video, which no judge sees"));
    }
    let interrupt = signals::install()?;
    let manner = Manner {
        model: &args.judge_model,
        persistence: persistence(args),
        at_once: args.concurrency,
        interrupt: &interrupt,
    };
    let client = Client::new(endpoint, Duration::from_secs_f64(args.timeout));
    let total = tasks.all.iter().map(|task| task.sides.len()).sum();
    let mut kept = Kept { results, done: 0, total, requests: 0, printer };
    let ended = judge_all(&client, manner, &tasks.all, &mut kept);
    let Kept { mut results, requests, printer, .. } = kept;
    printer.end_progress();
    // What other runs said stands in the last records, too, however this one ended.
    results.finish().with_context(|| format!("cannot write `{}`", args.results.display()))?;
    ended.map_err(|error| told(error, args))?;
    printer.note(&format!("{} to `{}`", counted(requests, "request"), args.judge_model));
    report(args, &results, &tasks, requests, printer)
}

fn endpoint(args: &EvalJudgeArgs, printer: &mut Printer) -> Result<Endpoint> {
    let name = &args.judge_key_variable;
    let key = match std::env::var(name) {
        Ok(key) => Some(key),
        Err(std::env::VarError::NotPresent) => None,
        // What it holds is not shown.
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(UsageError(format!("the key in {name} is not UTF-8")).into());
        }
    };
    let endpoint = Endpoint::new(&args.judge_url, key.as_deref()).map_err(|error| UsageError(error.to_string()))?;
    if endpoint.has_key() && endpoint.is_open() {
        printer.warning(&format!("the key of {name} goes to {} without encryption", endpoint.host()));
    }
    Ok(endpoint)
}

fn persistence(args: &EvalJudgeArgs) -> Persistence {
    match args.failures {
        Failures::Harness => Persistence::AsHarness,
        Failures::Again => Persistence::Patient {
            attempts: u32::try_from(args.attempts).unwrap_or(u32::MAX),
            pause: Duration::from_secs_f64(args.pause),
        },
    }
}

/// The harness's own judge, where another is asked.
fn about_the_judge(args: &EvalJudgeArgs, results: &JudgedResults, printer: &mut Printer) {
    let harness = results.records().first().and_then(|record| record.eval.harness).unwrap_or_default();
    let own = default_model(harness);
    if own != args.judge_model {
        printer.detail(&format!("the harness {harness} asks `{own}`"));
    }
}

/// Verdicts on their way to the file, counted.
struct Kept<'a> {
    results: JudgedResults,
    done: usize,
    total: usize,
    requests: usize,
    printer: &'a mut Printer,
}

impl Store for Kept<'_> {
    fn has(&self, request: &str) -> bool {
        self.results.has(request)
    }

    fn put(&mut self, judged: Vec<Judged>) -> std::io::Result<()> {
        self.done += judged.len();
        self.requests += judged.first().map_or(0, |judged| judged.requests as usize);
        for one in judged.iter().filter(|one| one.reply.is_none()) {
            let reason = one.reason.as_deref().unwrap_or("no reply");
            self.printer.detail(&format!("{}, {}: {reason}", one.id, one.side.name()));
        }
        self.results.put(judged)?;
        self.printer.progress("judging", "verdicts", self.done.min(self.total), self.total);
        Ok(())
    }
}

/// With what can be done about it.
fn told(error: RunError, args: &EvalJudgeArgs) -> anyhow::Error {
    let file = args.results.display();
    match error {
        error @ RunError::Client(_) => anyhow::Error::from(error).context(
            "the judge refuses to answer; `--judge-url`, `--judge-model` and the key's variable say whom to ask",
        ),
        error @ RunError::NoAnswers { .. } => anyhow::Error::from(error)
            .context(format!("verdicts so far are in `{file}`, and another run goes on there")),
        error => error.into(),
    }
}

fn report(
    args: &EvalJudgeArgs,
    results: &JudgedResults,
    tasks: &Tasks,
    requests: usize,
    printer: &mut Printer,
) -> Result<Exit> {
    let verdicts: Vec<&SideVerdict> =
        results.records().iter().flat_map(|record| &record.eval.verdicts).filter(|said| said.judge.is_some()).collect();
    let unreadable = verdicts.iter().filter(|said| said.verdict.is_none() && said.reply.is_some()).count();
    let by_failure = verdicts.iter().filter(|said| said.is_by_failure).count();
    let days: BTreeSet<&str> = verdicts.iter().filter_map(|said| said.at.as_ref()?.get(..10)).collect();
    let own_names: BTreeSet<&str> = verdicts.iter().filter_map(|said| said.model.as_deref()).collect();
    let absent = without_record(results.records());
    let figures = Figures::of(results.records(), absent, &[], Place::Whole, args.partial);
    let exit = if figures.is_whole() && figures.is_judged() { Exit::Done } else { Exit::SomeFailed };
    let span = match (days.first(), days.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(day), _) => (*day).to_owned(),
        _ => "never".to_owned(),
    };
    if args.json {
        let judge = json!({
            "model": args.judge_model,
            "models": own_names,
            "hosts": verdicts.iter().filter_map(|said| said.host.as_deref()).collect::<BTreeSet<_>>(),
            "from": days.first(),
            "to": days.last(),
            "failures": match args.failures { Failures::Again => "again", Failures::Harness => "harness" },
            "requests": requests,
            "given": verdicts.iter().filter(|said| said.verdict.is_some()).count(),
            "unreadable": unreadable,
            "by_failure": by_failure,
            "alone": tasks.alone.len(),
        });
        let mut object = figures.object(Some(&args.results), None);
        object["judged_by"] = judge;
        object["warnings"] = json!(printer.warnings());
        printer.line(&object.to_string())?;
        return Ok(exit);
    }
    let names = own_names.into_iter().filter(|name| *name != args.judge_model).collect::<Vec<_>>().join(", ");
    let calls_itself = if names.is_empty() { String::new() } else { format!(" (calls itself {names})") };
    let mut about = vec![
        format!("judged by {}{calls_itself} on {span}", args.judge_model),
        "judges differ and drift: scores of other judges, or of other times, are not comparable to these".to_owned(),
    ];
    if by_failure > 0 {
        about.push(format!("{} are the harness's for failed requests", counted(by_failure, "verdict")));
    }
    if unreadable > 0 {
        about.push(format!("{} cannot be read, at which the harness ends its run", counted(unreadable, "reply")));
    }
    for line in figures.lines(None).iter().chain(&about) {
        printer.line(line)?;
    }
    Ok(exit)
}
