//! `eval list`: the benchmarks, how large they are, and what a run costs.

use anyhow::Result;
use llava_video::eval::cost::{self, Cost, cost};
use llava_video::eval::list::facts;
use llava_video::eval::{Benchmark, data};
use serde_json::{Value, json};

use crate::cli::args::EvalListArgs;
use crate::cli::columns::aligned;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

/// Frames of the two protocols.
const FRAMES: [usize; 2] = [64, 110];

pub(super) fn run(args: &EvalListArgs, printer: &mut Printer) -> Result<Exit> {
    let costs = |benchmark| -> Result<[Cost; 2]> { Ok([cost(benchmark, FRAMES[0])?, cost(benchmark, FRAMES[1])?]) };
    if args.json {
        let benchmarks: Vec<Value> = Benchmark::ALL
            .into_iter()
            .map(|benchmark| Ok(entry(benchmark, &costs(benchmark)?)))
            .collect::<Result<_>>()?;
        let object = json!({
            "benchmarks": benchmarks,
            "gpu": cost::GPU,
            "peak_flops_per_sec": cost::PEAK_FLOPS_PER_SEC,
            "utilisation": cost::UTILISATION,
            "text_tokens": cost::TEXT_TOKENS,
            "warnings": printer.warnings(),
        });
        printer.line(&object.to_string())?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![["BENCHMARK", "ROWS", "VIDEOS", "HOURS", "64 FRAMES", "110 FRAMES", "CARD"].map(str::to_owned)];
    for benchmark in Benchmark::ALL {
        let (facts, costs) = (facts(benchmark), costs(benchmark)?);
        let known = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let [few, many] = costs.map(|cost| format!("{:.1} h", cost.gpu_hours));
        rows.push([
            benchmark.name().to_owned(),
            facts.rows.to_string(),
            known(facts.videos.map(|videos| videos.to_string())),
            known(facts.hours.map(|hours| format!("{hours:.0}"))),
            few,
            many,
            known(facts.card_score.map(|score| score.to_string())),
        ]);
    }
    for line in aligned(&rows) {
        printer.line(&line)?;
    }
    printer.line("")?;
    printer.line(&format!(
        "Hours of one {} with the 7B model are computed, not measured: the products of tower, projector and prefill at \
         {:.0} % of {:.0} TFLOP/s.",
        cost::GPU,
        100.0 * cost::UTILISATION,
        cost::PEAK_FLOPS_PER_SEC / 1e12
    ))?;
    printer.line("Reading clips and generating answers come on top; `-` stands for what is not known.")?;
    Ok(Exit::Done)
}

fn entry(benchmark: Benchmark, costs: &[Cost]) -> Value {
    let facts = facts(benchmark);
    let cost = |cost: &Cost| {
        json!({
            "sampled_frames": cost.frames,
            "prompt_tokens": cost.prompt_tokens,
            "flops": cost.flops as u64,
            "gpu_hours": cost.gpu_hours,
        })
    };
    json!({
        "benchmark": benchmark.name(),
        "parts": data::parts(benchmark),
        "rows": facts.rows,
        "videos": facts.videos,
        "hours": facts.hours,
        "card": facts.card_score,
        "costs": costs.iter().map(cost).collect::<Vec<_>>(),
    })
}
