//! The only file that prints, with `progress.rs`: answers to stdout, everything else to stderr.

#![expect(clippy::print_stderr, reason = "this file owns both streams")]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use llava_video::batch::{LedgerError, journal, merge};
use llava_video::engine::visual_cache;
use llava_video::eval::fetch::FetchError;
use llava_video::eval::predictions::PredictionError;
use llava_video::eval::results::ResultsError;

use super::exit::{ClosedPipe, Exit};
use super::progress;

/// The progress of a stage that is counted in units, in bytes, or in shares of a whole that mean nothing by themselves;
/// and that of many clips.
const UNITS: &str = "{msg:<9} {wide_bar} {pos}/{len} {prefix} {elapsed}";
const BYTES: &str = "{msg:<9} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const SHARE: &str = "{msg:<9} {wide_bar} {percent:>3} % {elapsed}";

const CLIPS: &str = "{msg:<9} {wide_bar} {pos}/{len} {prefix}{per_sec}, {eta} left";

#[cfg(test)]
pub(super) const TEMPLATES: [&str; 4] = [UNITS, BYTES, SHARE, CLIPS];

/// Both streams, and how talkative to be.
pub(crate) struct Printer {
    verbose: bool,
    quiet: bool,
    stdout_is_terminal: bool,
    progress: Option<(&'static str, ProgressBar)>,
    warnings: Vec<String>,
}

/// Prints what clap has to say: help and version to stdout, mistakes to stderr.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A closed stream leaves nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// What the user can do about an error of the library.
fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    macro_rules! hint_of {
        ($($error:ty),*) => {
            $(if let Some(error) = cause.downcast_ref::<$error>() {
                return error.hint();
            })*
        };
    }
    hint_of!(llava_video::Error, FetchError, visual_cache::Error, LedgerError, journal::Error, merge::Error);
    let results = cause.downcast_ref::<ResultsError>().and_then(ResultsError::hint);
    let predictions = || cause.downcast_ref::<PredictionError>().and_then(PredictionError::hint);
    results.or_else(predictions).map(str::to_owned)
}

impl Printer {
    pub(crate) fn new(verbose: bool, quiet: bool) -> Self {
        let stdout_is_terminal = std::io::stdout().is_terminal();
        Self { verbose, quiet, stdout_is_terminal, progress: None, warnings: Vec::new() }
    }

    /// A piece of the answer, shown at once.
    pub(crate) fn answer(&mut self, piece: &str) -> Result<()> {
        self.end_progress();
        match self.stdout_is_terminal {
            true => write_stdout(escape_controls(piece).as_bytes()),
            false => write_stdout(piece.as_bytes()),
        }
    }

    /// A whole line of machine-readable output.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.end_progress();
        write_stdout(format!("{line}\n").as_bytes())
    }

    /// A whole file, as it is.
    pub(crate) fn file(&mut self, bytes: &[u8]) -> Result<()> {
        self.end_progress();
        write_stdout(bytes)
    }

    /// Whether stdout is a terminal, which a file would drive.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Something that the user should know and that stops nothing.
    pub(crate) fn warning(&mut self, message: &str) {
        self.stderr_line("warning: ", message);
        self.warnings.push(message.to_owned());
    }

    /// All warnings so far, for `--json`; `-q` keeps them off stderr only.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, message: &str) {
        self.stderr_line("note: ", message);
    }

    /// A question to somebody at a terminal, without a line break.
    pub(crate) fn question(&mut self, question: &str) {
        self.end_progress();
        eprint!("{}", one_line(question));
    }

    /// Something only `-v` asks for.
    pub(crate) fn detail(&mut self, message: &str) {
        if self.verbose {
            self.stderr_line("", message);
        }
    }

    /// Lines of a table.
    pub(crate) fn table(&mut self, lines: &[String]) {
        self.end_progress();
        for line in lines {
            eprintln!("{}", escape_controls(line));
        }
    }

    fn stderr_line(&mut self, prefix: &str, message: &str) {
        self.end_progress();
        if !self.quiet {
            eprintln!("{prefix}{}", one_line(message));
        }
    }

    /// The one error of a run, with its causes on the same line and a hint where something helps.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        self.end_progress();
        eprintln!("error: {}", one_line(&format!("{error:#}")));
        if let Some(hint) = error.chain().find_map(hint) {
            eprintln!("hint: {}", one_line(&hint));
        }
    }

    /// Progress of a long stage; shown on a terminal only.
    pub(crate) fn progress(&mut self, stage: &'static str, unit: &'static str, done: usize, total: usize) {
        self.show_progress(stage, unit, UNITS, done as u64, total as u64);
    }

    /// Progress of a stage whose steps are nothing to the user; shown on a terminal only.
    pub(crate) fn share_progress(&mut self, stage: &'static str, done: usize, total: usize) {
        self.show_progress(stage, "", SHARE, done as u64, total as u64);
    }

    /// Progress of a stage that is counted in bytes; shown on a terminal only.
    pub(crate) fn bytes_progress(&mut self, stage: &'static str, done: u64, total: u64) {
        self.show_progress(stage, "", BYTES, done, total);
    }

    /// Progress of many clips, of which some failed; shown on a terminal only.
    pub(crate) fn clips_progress(&mut self, done: usize, total: usize, failed: usize) {
        self.show_progress("clips", "", CLIPS, done as u64, total as u64);
        if let Some((_, bar)) = &self.progress {
            bar.set_prefix(if failed > 0 { format!("({failed} failed) ") } else { String::new() });
        }
    }

    /// One of many that failed, and why; not the end of the run.
    pub(crate) fn failed_item(&mut self, name: &str, why: &str) {
        self.end_progress();
        eprintln!("error: {}", one_line(&format!("{name}: {why}")));
    }

    fn show_progress(&mut self, stage: &'static str, unit: &'static str, template: &str, done: u64, total: u64) {
        if self.quiet {
            return;
        }
        let is_current = self.progress.as_ref().is_some_and(|(current, _)| *current == stage);
        if !is_current {
            self.end_progress();
            self.progress = Some((stage, progress::bar(stage, unit, template, total, done)));
        }
        if let Some((_, bar)) = &self.progress {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Clears the progress line, so that nothing is printed into it.
    pub(crate) fn end_progress(&mut self) {
        if let Some((_, bar)) = self.progress.take() {
            bar.finish_and_clear();
        }
    }
}

fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// Makes control characters visible, so that an answer cannot drive the terminal; line breaks and tabs stay.
fn escape_controls(text: &str) -> String {
    let escape = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() || is_bidi_control(c) => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Characters that reorder the text around them.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A message on one line, whatever file names and causes it quotes.
fn one_line(message: &str) -> String {
    escape_controls(&message.replace(['\n', '\t'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cannot_drive_the_terminal() {
        assert_eq!(escape_controls("a\tb\nc"), "a\tb\nc");
        assert_eq!(escape_controls("\u{1b}[2Jx\r\u{202e}"), "\\u{1b}[2Jx\\r\\u{202e}");
    }

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(one_line("cannot read `a\nb`: c"), "cannot read `a b`: c");
    }
}
