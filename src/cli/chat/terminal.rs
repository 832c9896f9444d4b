//! Lines typed at a terminal and edited there.
//!
//! rustyline does the editing. reedline would as well, but asks the terminal where its cursor is and waits for an
//! answer, which not every terminal gives and no script; and it brings more than twice as many crates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use llava_video::interrupt::Interrupted;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::{BellStyle, ColorMode, CompletionType};
use rustyline::error::{ReadlineError, Signal};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Behavior, Cmd, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler, Helper,
    KeyCode, KeyEvent, Modifiers, RepeatCount,
};

use super::super::output::Printer;
use super::super::signals::Signals;
use super::commands::COMMANDS;
use super::history::{History, MAX_LINES};
use super::lines::Heard;

/// What is shown before a line.
pub(super) const PROMPT: &str = "> ";

/// What a text of several lines begins and ends with.
const BLOCK: &str = "\"\"\"";

/// A terminal with somebody at it.
pub(super) struct Terminal {
    editor: Editor<Assistant, MemHistory>,
    /// Where lines are kept, as long as that works.
    history: Option<History>,
    /// Whether a line is being typed, so that a signal has to restore the terminal.
    is_typing: Arc<AtomicBool>,
}

impl Terminal {
    /// Prepares the terminal and takes up the history.
    pub(super) fn new(history: Option<History>, printer: &mut Printer) -> Result<Self> {
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .bell_style(BellStyle::None)
            .color_mode(ColorMode::Disabled)
            .completion_type(CompletionType::List)
            .max_history_size(MAX_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .context("cannot set up the line editor")?
            .build();
        let lines = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, lines).context("cannot use the terminal")?;
        editor.set_helper(Some(Assistant { files: FilenameCompleter::new() }));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        let enter = KeyEvent(KeyCode::Enter, Modifiers::NONE);
        editor.bind_sequence(enter, EventHandler::Conditional(Box::new(BackslashBeforeEnter)));
        let mut terminal = Self { editor, history, is_typing: Arc::default() };
        terminal.recall(printer);
        #[cfg(unix)]
        end_on_termination(Arc::clone(&terminal.is_typing))?;
        Ok(terminal)
    }

    fn recall(&mut self, printer: &mut Printer) {
        let Some(history) = &self.history else { return };
        match history.lines() {
            Ok(lines) => {
                for line in lines {
                    // Of those that repeat the one before it takes none.
                    let _ = self.editor.add_history_entry(line);
                }
            }
            Err(error) => self.forget(&error, printer),
        }
    }

    /// A history that fails is told once, and left alone from then on.
    fn forget(&mut self, error: &anyhow::Error, printer: &mut Printer) {
        if let Some(history) = self.history.take() {
            printer.warning(&format!("no history is kept in `{}`: {error:#}", history.file().display()));
        }
    }

    /// Lets a line be typed.
    ///
    /// # Errors
    /// A terminal that fails, or a SIGTERM that came before.
    pub(super) fn next(&mut self, signals: &Signals, printer: &mut Printer) -> Result<Heard> {
        self.is_typing.store(true, Ordering::SeqCst);
        // One that comes from now on finds the mark.
        if let Some(signal) = signals.termination() {
            return Err(Interrupted { signal }.into());
        }
        let read = self.editor.readline(PROMPT);
        self.is_typing.store(false, Ordering::SeqCst);
        match read {
            Ok(typed) => {
                let typed = joined(&typed);
                self.keep(&typed, printer);
                Ok(Heard::Line(without_block_marks(&typed).to_owned()))
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(Signal::Interrupt)) => Ok(Heard::Cleared),
            Err(ReadlineError::Eof) => Ok(Heard::End),
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Heard::NotText),
            Err(error) => Err(error).context("cannot read from the terminal"),
        }
    }

    fn keep(&mut self, typed: &str, printer: &mut Printer) {
        if typed.trim().is_empty() || !self.editor.add_history_entry(typed).unwrap_or(false) {
            return;
        }
        if let Some(Err(error)) = self.history.as_ref().map(|history| history.keep(typed)) {
            self.forget(&error, printer);
        }
    }
}

/// A terminal that is being typed at is in a mode of its own, which must not outlast the process.
#[cfg(unix)]
fn end_on_termination(is_typing: Arc<AtomicBool>) -> Result<()> {
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use signal_hook::consts::SIGTERM;

    let terminal = || -> std::io::Result<OwnedFd> {
        match std::fs::File::options().read(true).write(true).open("/dev/tty") {
            Ok(terminal) => Ok(terminal.into()),
            Err(_) => std::io::stdin().as_fd().try_clone_to_owned(),
        }
    };
    let terminal = terminal().context("cannot use the terminal")?;
    let mode = tcgetattr(&terminal).context("cannot use the terminal")?;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM]).context("cannot install signal handlers")?;
    let watch = move || {
        for signal in signals.forever() {
            if is_typing.load(Ordering::SeqCst) {
                // Whatever fails, the process ends.
                let _ = tcsetattr(&terminal, OptionalActions::Now, &mode);
                // No bracketed paste any more, and a line of its own for whatever follows.
                let _ = std::fs::File::from(terminal).write_all(b"\x1b[?2004l\n");
                signal_hook::low_level::exit(128 + signal);
            }
        }
    };
    std::thread::Builder::new().name("termination".to_owned()).spawn(watch).context("cannot start a thread")?;
    Ok(())
}

/// What is sent of a typed text: of a block, what is between its marks.
fn without_block_marks(typed: &str) -> &str {
    let inner = typed.trim().strip_prefix(BLOCK).and_then(|rest| rest.strip_suffix(BLOCK));
    let Some(inner) = inner else { return typed };
    let inner = inner.strip_prefix('\n').unwrap_or(inner);
    inner.strip_suffix('\n').unwrap_or(inner)
}

/// Whether a block was begun and not ended.
fn is_open_block(typed: &str) -> bool {
    typed.trim().strip_prefix(BLOCK).is_some_and(|rest| !rest.ends_with(BLOCK))
}

/// Stands between a backslash and the new line that it made of Enter: it takes no room, and nobody types or pastes it.
/// rustyline can insert and move on in one step, but not replace what stands there.
const JOINT: &str = "\u{2060}\n";

/// What is sent of a typed text: a backslash that made a new line of Enter is none of it.
fn joined(typed: &str) -> String {
    typed.replace(&format!("\\{JOINT}"), "\n")
}

/// A backslash at the end makes Enter begin a new line.
struct BackslashBeforeEnter;

impl ConditionalEventHandler for BackslashBeforeEnter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let is_at_end = context.pos() == context.line().len();
        let continues = is_at_end && context.line().ends_with('\\') && !context.line().starts_with('/');
        continues.then(|| Cmd::Insert(1, JOINT.to_owned()))
    }
}

/// What the editor asks while a line is typed.
struct Assistant {
    files: FilenameCompleter,
}

impl Helper for Assistant {}

impl Highlighter for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        match is_open_block(context.input()) {
            true => Ok(ValidationResult::Incomplete),
            false => Ok(ValidationResult::Valid(None)),
        }
    }
}

/// Commands, and behind one the names of files.
impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if !line.starts_with('/') || line.starts_with("//") {
            return Ok((place, Vec::new()));
        }
        if line[..place].contains(char::is_whitespace) {
            return self.files.complete_path(line, place);
        }
        let names = COMMANDS.iter().map(|command| command.name).filter(|name| name.starts_with(&line[..place]));
        let pair = |name: &str| Pair { display: name.to_owned(), replacement: format!("{name} ") };
        Ok((0, names.map(pair).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_that_made_a_new_line_is_not_sent() {
        assert_eq!(joined("one\\\u{2060}\ntwo\\\u{2060}\nthree"), "one\ntwo\nthree");
        assert_eq!(joined("pasted\\\nas it is\\"), "pasted\\\nas it is\\");
    }

    #[test]
    fn a_block_is_sent_without_its_marks() {
        let sent = without_block_marks;
        assert_eq!(sent("\"\"\"\na\n\nb\n\"\"\""), "a\n\nb");
        assert_eq!(sent("\"\"\"a b\"\"\" "), "a b");
        for other in ["\"\"\"", "\"\"\"\"", "\"\"\"a", "a\"\"\"", "\"a\"", "a\nb"] {
            assert_eq!(sent(other), other);
        }
    }

    #[test]
    fn a_block_goes_on_until_it_is_ended() {
        for open in ["\"\"\"", "\"\"\"a\nb", "\"\"\"\n\"\""] {
            assert!(is_open_block(open), "{open:?}");
        }
        for whole in ["", "a", "a \"\"\"", "\"\"\"a\"\"\"", "\"\"\"\"\"\""] {
            assert!(!is_open_block(whole), "{whole:?}");
        }
    }
}
