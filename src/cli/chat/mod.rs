//! `chat`: a conversation about a video or pictures, from lines that are typed or piped to streamed answers.

mod commands;
mod dialogue;
mod editor;
mod history;
mod lines;
mod room;
mod settings;
mod terminal;
mod transcript;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::time::Instant;

use anyhow::{Result, anyhow};
use llava_video::engine::{Engine, Placing};
use llava_video::generate::StopReason;
use llava_video::trace::Trace;

use super::announce;
use super::args::{AnswerArgs, ChatArgs};
use super::cache;
use super::desk::Desk;
use super::exit::{Exit, UsageError};
use super::observer::{Onlooker, surface};
use super::opened::Opened;
use super::output::Printer;
use super::record::{self, Outcome, timings_table};
use super::signals::Signals;
use dialogue::{Dialogue, Failure, Responder, Step, Turn};
use history::History;
use lines::{Heard, Lines};
use room::{Room, Scene};
use settings::Settings;
use terminal::Terminal;

pub(crate) fn run(args: &ChatArgs, printer: &mut Printer) -> Result<Exit> {
    let began = Instant::now();
    let ChatArgs { files, answering, history } = args;
    let signals = Signals::install()?;
    room::check_no_stdin(files).map_err(|error| UsageError(error.to_string()))?;
    let is_at_terminal = std::io::stdin().is_terminal();
    let settings = Settings::of(answering);
    let mut desk = Desk::new(Onlooker::of_answers(printer, !answering.json, began), Trace::default(), began);
    let (engine, scene, placing) = set_up(files, answering, &settings, &signals, &mut desk)?;
    let parts_answers = !is_at_terminal && !answering.json;
    let room = Room::new(&engine, (scene, placing), answering, &signals, &mut desk, parts_answers)?;
    let source = match is_at_terminal {
        false => Source::Lines(Lines::new(None)?),
        true if console::is_dumb() => Source::Lines(Lines::new(Some(terminal::PROMPT))?),
        true => {
            let history = History::at(history.as_deref());
            Source::Terminal(Box::new(Terminal::new(history, room.desk.printer())?))
        }
    };
    let dialogue = Dialogue::new(settings, is_at_terminal.then_some(editor::edit));
    Chat { room, dialogue, source, answering, signals: &signals, is_at_terminal }.run()
}

/// Opens what is asked about, loads the model and makes visual tokens; what can be refused is refused before weights
/// are loaded.
fn set_up(
    files: &[OsString],
    args: &AnswerArgs,
    settings: &Settings,
    signals: &Signals,
    desk: &mut Desk<'_>,
) -> Result<(Engine, Scene, Placing)> {
    let (interrupt, options, keeps_tower) = (signals.interrupt(), &settings.options, !args.no_video);
    if args.no_video {
        for file in files {
            desk.printer().warning(&format!("--no-video: `{}` is not looked at", file.display()));
        }
    }
    let files = if args.no_video { Vec::new() } else { files.to_vec() };
    let devices = announce::opened(&args.asking.devices.device, args.asking.devices.dtype, desk.printer())?;
    let mut opened = Opened::new(&files, &args.asking.frames, interrupt, desk)?;
    let found = super::model::find(
        &args.asking.checkpoint.model,
        args.asking.checkpoint.offline.then_some("--offline"),
        interrupt,
        desk.printer(),
    )?;
    let engine_options = args.asking.engine_options(cache::for_questions(args.cache, desk.printer()));
    let mut engine = Engine::open_on(devices, &found.source, engine_options, interrupt).map_err(surface)?;
    let mut media = opened.media(&engine, "", options, desk)?;
    let planned = engine.prompt(&media, &[], "", options).map_err(surface)?;
    let placing = engine.place_turn(&media, &planned, options, keeps_tower, None).map_err(surface)?;
    announce::describe(&engine, &media, &planned, &placing.devices, desk.printer());
    if !placing.memory.fits() {
        return Err(surface(engine.refusal_of_turn(&placing, &media, "", options)));
    }
    let work = engine.long_work(&media, &planned, &placing).map_err(surface)?;
    work.iter().for_each(|work| desk.printer().note(&announce::long_work(work)));
    if let Some(source) = found.fetch(interrupt, desk.printer())? {
        engine.fetched(&source).map_err(surface)?;
    }
    // The tower is loaded even where it has nothing to do yet: it could not be added for `/video`.
    let seen = engine.look(&mut media, &placing.devices, interrupt, &mut desk.watch()).map_err(surface)?;
    engine.load(&placing.devices, keeps_tower, &mut desk.watch()).map_err(surface)?;
    let visual = engine.encode(&media, seen, &mut desk.watch());
    desk.printer().end_progress();
    Ok((engine, Scene::new(files, opened, media, visual.map_err(surface)?), placing))
}

/// Where lines come from.
enum Source {
    Terminal(Box<Terminal>),
    Lines(Lines),
}

/// A chat in progress.
struct Chat<'c, 'e, 'd, 'p> {
    room: Room<'e, 'd, 'p>,
    dialogue: Dialogue,
    source: Source,
    answering: &'c AnswerArgs,
    signals: &'c Signals,
    is_at_terminal: bool,
}

impl Chat<'_, '_, '_, '_> {
    fn run(mut self) -> Result<Exit> {
        if self.is_at_terminal {
            let about = self.room.subject().described();
            self.printer().note(&format!("a chat about {about}; /help lists the commands, Ctrl-D leaves"));
        }
        let mut all_went_well = true;
        loop {
            let step = match self.next_line()? {
                Heard::End => break,
                Heard::Cleared => continue,
                Heard::NotText => Err(anyhow!("a line that is not UTF-8 text").into()),
                Heard::Line(line) => self.dialogue.take(&line, &mut self.room),
            };
            let failure = match step {
                Ok(Step::Leave) => break,
                Ok(step) => self.show(step).err().map(Failure::Output),
                Err(failure) => Some(failure),
            };
            let stopped_by = self.stopped_by();
            match failure {
                Some(Failure::Output(error)) => return Err(error),
                Some(Failure::Line(error)) if is_interrupt(&error) && stopped_by.is_none() => {
                    self.printer().note("stopped; everything is as it was before");
                }
                Some(Failure::Line(error)) if is_interrupt(&error) => {}
                Some(Failure::Line(error)) => {
                    self.printer().error(&error);
                    all_went_well = false;
                }
                None => {}
            }
            if let Some(signal) = stopped_by {
                return Ok(Exit::Interrupted(signal));
            }
        }
        // At a terminal every failure was seen where it happened.
        Ok(if all_went_well || self.is_at_terminal { Exit::Done } else { Exit::SomeFailed })
    }

    fn printer(&mut self) -> &mut Printer {
        self.room.desk.printer()
    }

    /// The signal that ends the chat, if one came: at a terminal Ctrl-C only ends what is being done.
    fn stopped_by(&self) -> Option<usize> {
        match self.is_at_terminal {
            true => self.signals.termination(),
            false => self.signals.interrupt().signal(),
        }
    }

    /// The next line; the time that it takes to come is none of the answer's.
    fn next_line(&mut self) -> Result<Heard> {
        let asked = Instant::now();
        let printer = self.room.desk.printer();
        let heard = match &mut self.source {
            Source::Terminal(terminal) => terminal.next(self.signals, printer),
            Source::Lines(lines) => {
                // Ctrl-C at a terminal that edits nothing: what was typed is gone, and the prompt comes again.
                let heard = lines.next(self.signals.interrupt(), printer);
                match heard {
                    Err(error)
                        if self.is_at_terminal && is_interrupt(&error) && self.signals.termination().is_none() =>
                    {
                        self.signals.begin_work();
                        Ok(Heard::Cleared)
                    }
                    heard => heard,
                }
            }
        };
        self.room.desk.waited(asked.elapsed());
        heard
    }

    fn show(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Told(messages) => messages.iter().for_each(|message| self.printer().note(message)),
            Step::Listed(lines) => self.printer().table(&lines),
            Step::Answered(turn) => self.finish(&turn)?,
            Step::Leave => {}
        }
        Ok(())
    }

    /// Ends an answer whose text was streamed: the newline or the record, and what is to be said beside it.
    fn finish(&mut self, turn: &Turn) -> Result<()> {
        let Turn { question, prompt, answer, frames_encoded, seed, timings, total } = turn;
        let AnswerArgs { json, timings: shows_timings, .. } = *self.answering;
        let is_at_terminal = self.is_at_terminal;
        let printer = self.printer();
        if json {
            let (frames_encoded, seed, timings, total) = (*frames_encoded, *seed, *timings, *total);
            let outcome = Outcome { answer, frames_encoded, seed, timings, total };
            printer.line(&record::turn(question, prompt, &outcome, printer.warnings()).to_string())?;
        } else if !answer.token_ids.is_empty() {
            printer.answer("\n")?;
        }
        let tokens = answer.token_ids.len();
        match answer.stop_reason {
            StopReason::Interrupted if is_at_terminal && tokens == 0 => {
                printer.note("stopped before the answer began; the question is forgotten");
            }
            StopReason::Interrupted if is_at_terminal => {
                printer.note("stopped; the answer so far is part of the conversation, `/undo` takes it back");
            }
            StopReason::Length if is_at_terminal => printer
                .note(&format!("the answer was cut off after {tokens} tokens; `/set max-new-tokens` allows more")),
            reason => announce::cut_short(reason, tokens).iter().for_each(|why| printer.note(why)),
        }
        if shows_timings {
            printer.table(&timings_table(timings, *total));
        }
        Ok(())
    }
}

/// Whether a signal is what ended the work.
fn is_interrupt(error: &anyhow::Error) -> bool {
    matches!(Exit::of(error), Exit::Interrupted(_))
}
