//! The course of a chat, without a model or a terminal: lines come in, questions go to whoever answers, commands change
//! what is remembered.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use llava_video::engine::{Answer, Exchange, SizedPrompt, Timings};
use llava_video::prompt::TimeInstruction;
use llava_video::size::counted;

use super::commands::{self, Action, Input, Need};
use super::settings::Settings;
use super::transcript::Transcript;

/// What questions are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// As they were given.
    pub(super) files: Vec<OsString>,
    /// Frames that were sampled; `None` for pictures, and where nothing is shown.
    pub(super) sampled_frames: Option<usize>,
}

impl Subject {
    fn shows_pictures(&self) -> bool {
        !self.files.is_empty() && self.sampled_frames.is_none()
    }

    /// In a sentence.
    pub(super) fn described(&self) -> String {
        let names = self.files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(", ");
        match self.sampled_frames {
            _ if self.files.is_empty() => "no video".to_owned(),
            Some(frames) => format!("{names} ({})", counted(frames, "frame")),
            None => names,
        }
    }
}

/// Who answers, and shows videos to the model.
pub(super) trait Responder {
    /// Answers a question after `past`, and passes its text on as it comes.
    fn answer(&mut self, past: &[Exchange], question: &str, settings: &Settings) -> Result<Turn, Failure>;

    /// Takes other files to be asked about. What fails leaves everything as it was.
    fn show(&mut self, files: &[OsString], settings: &Settings) -> Result<()>;

    /// What is shown now.
    fn subject(&self) -> Subject;

    /// The frames, or pictures, that are shown, a line each.
    fn frames(&self) -> Vec<String>;

    /// Writes all frames to one picture.
    fn write_sheet(&mut self, file: PathBuf) -> Result<()>;

    /// The model's name.
    fn model(&self) -> &str;
}

/// A question that was answered, with everything that led to it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) question: String,
    pub(super) prompt: SizedPrompt,
    pub(super) answer: Answer,
    /// Frames or tiles that went through the vision tower since the last turn.
    pub(super) frames_encoded: usize,
    /// Only where the answer was sampled.
    pub(super) seed: Option<u64>,
    pub(super) timings: Timings,
    /// Wall time of this turn.
    pub(super) total: Duration,
}

/// Why a line came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// This line fails, and the chat goes on.
    Line(anyhow::Error),
    /// Nobody can be told anything any more.
    Output(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Line(error)
    }
}

/// What came of a line.
#[derive(Debug)]
pub(super) enum Step {
    /// Something to tell, a message each.
    Told(Vec<String>),
    /// A table to print.
    Listed(Vec<String>),
    /// An answer, whose text was passed on.
    Answered(Box<Turn>),
    /// The user leaves.
    Leave,
}

/// Lets somebody change a text.
pub(super) type Edit = fn(&str) -> Result<String>;

/// What is remembered between lines.
pub(super) struct Dialogue {
    settings: Settings,
    past: Vec<Exchange>,
    /// The user's editor; `None` without a terminal.
    edit: Option<Edit>,
}

impl Dialogue {
    pub(super) fn new(settings: Settings, edit: Option<Edit>) -> Self {
        Self { settings, past: Vec::new(), edit }
    }

    /// Takes a line, or several that were sent as one.
    pub(super) fn take(&mut self, line: &str, responder: &mut dyn Responder) -> Result<Step, Failure> {
        match commands::sort(line)? {
            Input::Blank => Ok(Step::Told(Vec::new())),
            Input::Question(question) => self.ask(self.past.len(), question, responder),
            Input::Command(name, rest) => self.carry_out(name, rest, responder),
        }
    }

    /// Asks after the first `kept` exchanges; the others are forgotten once there is an answer. One that was stopped
    /// before its first token is none.
    fn ask(&mut self, kept: usize, question: &str, responder: &mut dyn Responder) -> Result<Step, Failure> {
        let turn = responder.answer(&self.past[..kept], question, &self.settings)?;
        if !turn.answer.token_ids.is_empty() {
            self.past.truncate(kept);
            self.past.push(Exchange { question: question.to_owned(), answer: turn.answer.text.clone() });
        }
        Ok(Step::Answered(Box::new(turn)))
    }

    fn carry_out(&mut self, name: &'static str, rest: &str, responder: &mut dyn Responder) -> Result<Step, Failure> {
        let Some(command) = commands::named(name) else { return Err(anyhow!("there is no command `{name}`").into()) };
        if let Some(missing) = command.needs.iter().find(|need| !self.has(**need, responder)) {
            return Err(anyhow!("{name}: {}", missing.missing()).into());
        }
        match command.action {
            Action::Set => return Ok(self.set(rest, responder)?),
            Action::Edit => return self.edit(rest, responder),
            _ => {}
        }
        let mut words = commands::words(rest).map_err(|error| error.context(name))?;
        let step = match command.action {
            Action::Help => nothing(name, &words).map(|()| Step::Listed(help())),
            Action::Clear => nothing(name, &words).map(|()| self.clear(responder)),
            Action::Undo => nothing(name, &words).map(|()| self.undo()),
            Action::Exit => nothing(name, &words).map(|()| Step::Leave),
            Action::Video => self.video(words, responder),
            Action::Frames => match words.pop() {
                None => Ok(Step::Listed(responder.frames())),
                Some(file) => nothing(name, &words).and_then(|()| sheet(&file, responder)),
            },
            Action::Save => {
                let force = words.first().is_some_and(|word| word == "--force");
                one(name, words.drain(usize::from(force)..).collect())
                    .and_then(|file| self.save(&file, force, responder))
            }
            Action::Load => one(name, words).and_then(|file| self.load(&file, responder)),
            Action::Set | Action::Edit => Ok(Step::Told(Vec::new())),
        };
        Ok(step?)
    }

    fn has(&self, need: Need, responder: &dyn Responder) -> bool {
        match need {
            Need::Media => !responder.subject().files.is_empty(),
            Need::Past => !self.past.is_empty(),
            Need::Terminal => self.edit.is_some(),
        }
    }

    fn video(&mut self, words: Vec<String>, responder: &mut dyn Responder) -> Result<Step> {
        if words.is_empty() {
            bail!("/video: expected a video, or pictures");
        }
        let files: Vec<OsString> = words.into_iter().map(|word| path(&word).into_os_string()).collect();
        responder.show(&files, &self.settings)?;
        self.past.clear();
        Ok(Step::Told(vec![format!("a new conversation, about {}", responder.subject().described())]))
    }

    fn clear(&mut self, responder: &dyn Responder) -> Step {
        let forgotten = counted(self.past.len(), "question");
        self.past.clear();
        let about = responder.subject().described();
        Step::Told(vec![format!("{forgotten} forgotten; the conversation starts again, about {about}")])
    }

    fn undo(&mut self) -> Step {
        let question = self.past.pop().map_or_else(String::new, |exchange| exchange.question);
        let left = counted(self.past.len(), "question");
        Step::Told(vec![format!("took back `{question}` and its answer; {left} left")])
    }

    fn edit(&mut self, rest: &str, responder: &mut dyn Responder) -> Result<Step, Failure> {
        nothing("/edit", &commands::words(rest)?)?;
        let Some(edit) = self.edit else { return Ok(Step::Told(Vec::new())) };
        let question = edit(self.past.last().map_or("", |exchange| &exchange.question))?;
        match question.trim().is_empty() {
            true => Ok(Step::Told(vec!["nothing was asked: the text is empty".to_owned()])),
            false => self.ask(self.past.len().saturating_sub(1), &question, responder),
        }
    }

    fn set(&mut self, rest: &str, responder: &dyn Responder) -> Result<Step> {
        if rest.is_empty() {
            return Ok(Step::Listed(self.settings.listing()));
        }
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = value.trim();
        if value.is_empty() {
            bail!("/set {name}: expected a value, or `default`; it is `{}` now", self.settings.shown(name)?);
        }
        let mut settings = self.settings.clone();
        settings.set(name, value)?;
        check(&settings, &responder.subject())?;
        self.settings = settings;
        Ok(Step::Told(vec![format!("{name} is `{}` now", self.settings.shown(name)?)]))
    }

    fn save(&self, file: &str, force: bool, responder: &dyn Responder) -> Result<Step> {
        let Subject { files, sampled_frames } = responder.subject();
        let transcript = Transcript::new(responder.model(), &files, sampled_frames, &self.settings, &self.past)?;
        transcript.save(&path(file), force)?;
        Ok(Step::Told(vec![format!("saved {} to `{file}`", counted(self.past.len(), "question"))]))
    }

    /// Everything is read and opened before anything is forgotten.
    fn load(&mut self, file: &str, responder: &mut dyn Responder) -> Result<Step> {
        let transcript = Transcript::load(&path(file))?;
        let settings = transcript.settings()?;
        if transcript.is_about(&responder.subject().files) {
            check(&settings, &responder.subject())?;
        } else {
            let files: Vec<OsString> = transcript.files.iter().map(OsString::from).collect();
            responder.show(&files, &settings)?;
        }
        let Transcript { model, sampled_frames, exchanges, .. } = transcript;
        let subject = responder.subject();
        let loaded = counted(exchanges.len(), "question");
        let mut told = vec![format!("loaded {loaded} and the settings, about {}", subject.described())];
        if model != responder.model() {
            told.push(format!("these are answers of the model `{model}`"));
        }
        if let Some(then) = sampled_frames.filter(|_| sampled_frames != subject.sampled_frames) {
            told.push(format!("these are answers about {} of the video", counted(then, "frame")));
        }
        (self.settings, self.past) = (settings, exchanges);
        Ok(Step::Told(told))
    }
}

/// Settings that mean nothing for what is shown.
fn check(settings: &Settings, subject: &Subject) -> Result<()> {
    if subject.shows_pictures() && settings.options.time_instruction != TimeInstruction::None {
        bail!("pictures are shown; a time instruction does not apply");
    }
    Ok(())
}

fn sheet(file: &str, responder: &mut dyn Responder) -> Result<Step> {
    responder.write_sheet(path(file))?;
    Ok(Step::Told(vec![format!("the frames are in `{file}`")]))
}

fn help() -> Vec<String> {
    let mut lines = commands::listing();
    lines.push(String::new());
    let keys = [
        "Alt-Enter, or a backslash before Enter, begins a new line; \"\"\" begins and ends a text of several lines.",
        "Ctrl-C stops an answer, or clears what is typed; Ctrl-D leaves. A question that starts with / takes two.",
    ];
    lines.extend(keys.map(str::to_owned));
    lines
}

/// Nothing follows the command.
fn nothing(name: &str, words: &[String]) -> Result<()> {
    match words {
        [] => Ok(()),
        [word, ..] => bail!("{name}: `{word}` is too much"),
    }
}

/// One name of a file follows it.
fn one(name: &str, mut words: Vec<String>) -> Result<String> {
    match words.len() {
        1 => Ok(words.remove(0)),
        0 => bail!("{name}: expected the name of a file"),
        _ => bail!("{name}: expected one name; spaces need quotes"),
    }
}

/// A file as it is typed: `~/` is the home directory, as in a shell.
fn path(word: &str) -> PathBuf {
    match (word.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(word),
    }
}

#[cfg(test)]
mod tests;
