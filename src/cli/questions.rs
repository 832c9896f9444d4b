//! What `ask` is asked: the files, the questions about them, and the answers to choose from.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Context, Result};
use llava_video::interrupt::Interrupt;

use super::args::AskArgs;
use super::exit::UsageError;
use super::output::Printer;
use super::stream::Stream;
use super::{file_url, input};

/// Files and questions, read and checked.
pub(crate) struct Asked {
    /// The video or the pictures, none with `--no-video`.
    pub(crate) files: Vec<OsString>,
    /// At least one.
    pub(crate) questions: Vec<String>,
    /// The answers to choose from; `None` where the model answers freely.
    pub(crate) choices: Option<Vec<String>>,
}

impl Asked {
    /// What the arguments say, with what they name on standard input and in files.
    pub(crate) fn read(args: &AskArgs, interrupt: &Interrupt, printer: &mut Printer) -> Result<Self> {
        let (files, question) = args.files_and_question();
        // With several arguments the likeliest mistake is a question without quotes.
        if let Some(other) = files.iter().skip(1).find(|file| !is_file(file)) {
            let other = other.display();
            let message = match args.has_question_flags() {
                true => {
                    format!("`{other}` is not a picture; with --question or --questions, every argument is an input")
                }
                false => format!("`{other}` is not a picture; a question of several words needs quotes"),
            };
            return Err(UsageError(message).into());
        }
        let lists = [&args.questions, &args.choices_file].into_iter().flatten().map(|path| path.as_os_str());
        let shown = files.iter().copied().filter(|_| !args.answering.no_video);
        if shown.chain(question).chain(lists).filter(|argument| is_stdin(argument)).count() > 1 {
            let message = match args.has_question_flags() || args.choices_file.is_some() {
                true => "standard input can be read only once",
                false => "standard input can hold the video or the question, not both",
            };
            return Err(UsageError(message.to_owned()).into());
        }
        if let Some(question) = question.filter(|question| !args.answering.no_video && Path::new(question).is_file()) {
            printer.warning(&format!(
                "the question is `{}`, the name of a file; the last argument is the question",
                question.display()
            ));
        }
        if args.answering.no_video {
            for file in &files {
                printer.warning(&format!("--no-video: `{}` is not looked at", file.display()));
            }
        }
        let files = if args.answering.no_video { Vec::new() } else { files.into_iter().map(OsStr::to_owned).collect() };
        let mut questions = Vec::new();
        if let Some(question) = question {
            questions.push(input::question(question, interrupt, printer)?);
        }
        for question in &args.question {
            questions.push(input::question(question, interrupt, printer)?);
        }
        if let Some(path) = &args.questions {
            questions.extend(lines(path, "the questions", interrupt, printer)?);
        }
        let choices = match &args.choices_file {
            Some(path) => Some(lines(path, "the choices", interrupt, printer)?),
            None => (!args.choices.is_empty()).then(|| args.choices.clone()),
        };
        if choices.iter().flatten().any(|choice| choice.trim().is_empty()) {
            return Err(UsageError("a choice is empty".to_owned()).into());
        }
        if args.dump_tensors.is_some() && questions.len() > 1 {
            return Err(UsageError("--dump-tensors takes one question".to_owned()).into());
        }
        Ok(Self { files, questions, choices })
    }
}

fn is_stdin(argument: &OsStr) -> bool {
    Stream::named(argument) == Some(Stream::Stdin)
}

fn is_file(file: &OsStr) -> bool {
    file == "-" || file_url::local_path(file).is_ok_and(|path| path.exists())
}

/// The lines of a file, or of standard input where it is `-`, that hold more than white space.
pub(crate) fn lines(path: &Path, what: &str, interrupt: &Interrupt, printer: &mut Printer) -> Result<Vec<String>> {
    let stream = Stream::named(path.as_os_str());
    let name = match &stream {
        Some(stream) => stream.name().display().to_string(),
        None => format!("`{}`", path.display()),
    };
    let bytes = match stream {
        Some(stream) => {
            let mut bytes = Vec::new();
            stream.announce(what, printer);
            stream.read(interrupt, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            bytes
        }
        None => std::fs::read(path).with_context(|| format!("cannot read {what} from {name}"))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| UsageError(format!("{name} is not UTF-8 text")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err(UsageError(format!("{name} holds nothing, where {what} were expected, one a line")).into()),
        false => Ok(lines),
    }
}
