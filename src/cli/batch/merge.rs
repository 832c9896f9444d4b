//! `batch merge`: the outputs of shards or of claiming processes, joined into one.

use anyhow::Result;
use llava_video::batch::inputs::gather;
use llava_video::batch::merge::{Merged, Options, merge};
use llava_video::interrupt::Interrupt;
use llava_video::size::counted;

use super::gathered::{Asked, list, refuse};
use crate::cli::args::MergeArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

/// How many ids are named of those that are missing.
const NAMED: usize = 20;

pub(crate) fn run(args: &MergeArgs, printer: &mut Printer) -> Result<Exit> {
    let ids = match &args.input {
        None => None,
        Some(path) => {
            let list = list(path, &Interrupt::default(), printer)?;
            // What is asked does not matter here, and a list may leave it to the run.
            let asked = Asked { questions: vec![String::new()], choices: Vec::new() };
            let inputs = gather(Vec::new(), Some(&list), &asked.run_wide(None));
            let inputs = inputs.map_err(|refusals| refuse(&refusals, printer))?;
            Some(inputs.into_iter().map(|input| input.job.id).collect::<Vec<_>>())
        }
    };
    let options = Options { ids: ids.as_deref(), digest: args.digest.as_deref(), force: args.force };
    let merged = merge(&args.outputs, options, &args.output)?;
    tell(&merged, printer);
    let is_whole = merged.missing.is_empty() && merged.missing_shards.is_empty() && merged.failed == 0;
    Ok(if is_whole { Exit::Done } else { Exit::SomeFailed })
}

fn tell(merged: &Merged, printer: &mut Printer) {
    for (path, bytes) in &merged.torn {
        let (path, bytes) = (path.display(), counted(*bytes as usize, "byte"));
        printer.warning(&format!("`{path}`: the last record is unfinished and left out ({bytes})"));
    }
    for (ids, what) in [(&merged.missing, "missing"), (&merged.unknown, "not among the inputs")] {
        let mut lines: Vec<String> = ids.iter().take(NAMED).map(|id| format!("{what}: {id}")).collect();
        if ids.len() > NAMED {
            lines.push(format!("and {} more {what}", ids.len() - NAMED));
        }
        printer.table(&lines);
    }
    if !merged.missing_shards.is_empty() {
        let shards: Vec<String> = merged.missing_shards.iter().take(NAMED).map(ToString::to_string).collect();
        printer.warning(&format!(
            "no output of {}: {}",
            counted(merged.missing_shards.len(), "shard"),
            shards.join(", ")
        ));
    }
    let Merged { records, failed, doubled, of_other_runs, .. } = merged;
    let mut line = format!("{}, {failed} of them failed", counted(*records, "record"));
    for (count, what) in [(*doubled, "in several outputs"), (*of_other_runs, "of other runs left out")] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    printer.note(&format!("{line}, {} missing", merged.missing.len()));
}
