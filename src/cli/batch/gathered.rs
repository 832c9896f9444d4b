//! What a batch is to answer: inputs from arguments and lists, with the questions of the run, checked as a whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llava_video::batch::inputs::{self, Input, Refusals, RunWide, find, gather, missing};
use llava_video::interrupt::Interrupt;
use llava_video::size::counted;

use crate::cli::args::{BatchRunArgs, WorkArgs};
use crate::cli::exit::UsageError;
use crate::cli::output::Printer;
use crate::cli::stream::Stream;
use crate::cli::{file_url, input, questions};

/// The questions and choices of all inputs that do not have their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) questions: Vec<String>,
    pub(crate) choices: Vec<String>,
}

impl Asked {
    pub(crate) fn read(args: &WorkArgs, interrupt: &Interrupt, printer: &mut Printer) -> Result<Self> {
        if args.question.iter().any(|question| question == "-") {
            return Err(UsageError("`-` is no question here: standard input is for the inputs".to_owned()).into());
        }
        let mut asked = Vec::new();
        for question in &args.question {
            asked.push(input::question(question, interrupt, printer)?);
        }
        let mut list = |path: &Path, what| match path.as_os_str() == "-" {
            true => Err(UsageError(format!("standard input is for the inputs, not for {what}")).into()),
            false => questions::lines(path, what, interrupt, printer),
        };
        if let Some(path) = &args.questions {
            asked.extend(list(path, "the questions")?);
        }
        let choices = match &args.choices_file {
            Some(path) => list(path, "the choices")?,
            None => args.choices.clone(),
        };
        if choices.iter().any(|choice| choice.trim().is_empty()) {
            return Err(UsageError("a choice is empty".to_owned()).into());
        }
        Ok(Self { questions: asked, choices })
    }

    /// For the library.
    pub(crate) fn run_wide<'a>(&'a self, system: Option<&'a str>) -> RunWide<'a> {
        RunWide { questions: &self.questions, choices: &self.choices, system, local_path: &local_path }
    }
}

fn local_path(text: &str) -> Result<PathBuf, String> {
    file_url::local_path(text.as_ref()).map_err(|error| format!("{error:#}"))
}

/// All inputs of a run.
pub(crate) fn inputs(
    args: &BatchRunArgs,
    asked: &Asked,
    interrupt: &Interrupt,
    printer: &mut Printer,
) -> Result<Vec<Input>> {
    if args.inputs.is_empty() && args.input.is_none() {
        return Err(
            UsageError("there are no inputs: name videos or directories, or a list with --input".to_owned()).into()
        );
    }
    let found = find(&args.inputs, args.recursive).map_err(refused)?;
    if found.left_aside > 0 {
        printer.note(&format!("not named like videos, and left aside: {}", counted(found.left_aside, "file")));
    }
    if found.repeated > 0 {
        printer.note(&format!("named more than once, and answered once: {}", counted(found.repeated, "clip")));
    }
    let list = args.input.as_deref().map(|path| list(path, interrupt, printer)).transpose()?;
    let run = asked.run_wide(args.work.asking.system.as_deref());
    gather(found.clips, list.as_deref(), &run).map_err(|refusals| refuse(&refusals, printer))
}

fn refused(error: inputs::Error) -> anyhow::Error {
    let hint = error.hint();
    UsageError(hint.map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))).into()
}

/// A list of inputs, whole.
pub(crate) fn list(path: &Path, interrupt: &Interrupt, printer: &mut Printer) -> Result<Vec<u8>> {
    match Stream::named(path.as_os_str()) {
        None => std::fs::read(path).with_context(|| format!("cannot read the inputs from `{}`", path.display())),
        Some(stream) => {
            let mut bytes = Vec::new();
            stream.announce("the inputs", printer);
            stream.read(interrupt, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            Ok(bytes)
        }
    }
}

/// Prints each mistake that is kept, and gives the error that counts them.
pub(crate) fn refuse(refusals: &Refusals, printer: &mut Printer) -> anyhow::Error {
    let lines: Vec<String> = refusals.kept.iter().map(ToString::to_string).collect();
    printer.table(&lines);
    let hint = refusals.kept.iter().find_map(|refusal| refusal.mistake.hint());
    let count = counted(refusals.total, "mistake");
    UsageError(
        hint.map_or_else(|| format!("the inputs have {count}"), |hint| format!("the inputs have {count}; {hint}")),
    )
    .into()
}

/// What `--check` says; whether all files are there.
pub(crate) fn check(inputs: &[Input], printer: &mut Printer) -> bool {
    let missing = missing(inputs);
    let mut lines: Vec<String> = Vec::new();
    for (id, path, error) in &missing.kept {
        lines.push(format!("{id}: `{}`: {error}", path.display()));
    }
    if missing.total > missing.kept.len() {
        lines.push(format!("and {} more", missing.total - missing.kept.len()));
    }
    printer.table(&lines);
    let questions: usize = inputs.iter().map(|input| input.job.questions.len()).sum();
    let (clips, questions) = (counted(inputs.len(), "input"), counted(questions, "question"));
    printer.note(&format!("{clips} with {questions}, {} missing", missing.total));
    missing.total == 0
}
