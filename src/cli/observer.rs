//! What the engine tells, on the terminal; what it refuses, in the words of the command line.

use std::ops::ControlFlow;
use std::time::Instant;

use llava_video::engine::{Error, Event, Observer, PictureMisfit, Stage};
use llava_video::size::counted;

use super::exit::UsageError;
use super::output::Printer;

/// Shows what the engine tells.
pub(crate) struct Onlooker<'p> {
    pub(crate) printer: &'p mut Printer,
    /// Whether pieces of the answer are shown at once.
    pub(crate) shows_answer: bool,
    /// When the program, or the work on a later answer, began.
    started: Instant,
    /// Why the answer could not be shown.
    failure: Option<anyhow::Error>,
}

impl<'p> Onlooker<'p> {
    /// An onlooker that shows everything but the answer.
    pub(crate) fn new(printer: &'p mut Printer) -> Self {
        Self { printer, shows_answer: false, started: Instant::now(), failure: None }
    }

    /// One that shows the answer too, if `shows_answer`, of a program that began at `started`.
    pub(crate) fn of_answers(printer: &'p mut Printer, shows_answer: bool, started: Instant) -> Self {
        Self { printer, shows_answer, started, failure: None }
    }

    /// The work on another answer begins.
    pub(crate) fn begin_answer(&mut self) {
        self.started = Instant::now();
    }

    /// What the program fails with when the engine fails with `error`.
    pub(crate) fn surface(&mut self, error: Error) -> anyhow::Error {
        match error {
            Error::Abandoned => self.failure.take().unwrap_or_else(|| Error::Abandoned.into()),
            error => surface(error),
        }
    }
}

impl Observer for Onlooker<'_> {
    fn tell(&mut self, event: Event<'_>) {
        let printer = &mut *self.printer;
        match event {
            Event::Progress { stage: Stage::VideoDecode, done, total } => {
                printer.progress("decoding", "frames", done, total);
            }
            Event::Progress { stage: Stage::Load, done, total } => printer.progress("loading", "layers", done, total),
            Event::Progress { stage: Stage::Vision, done, total } => printer.share_progress("vision", done, total),
            Event::Progress { stage: Stage::Prefill, done, total } => {
                printer.progress("prefill", "tokens", done, total);
            }
            Event::StageOver => printer.end_progress(),
            Event::Unconfined(what) => printer.detail(&format!("decoding: {what}")),
            Event::TakenForVideo { dir, pictures, frames_per_sec: rate } => {
                let (dir, pictures) = (dir.display(), counted(pictures, "picture"));
                let frames = if rate == 1.0 { "frame" } else { "frames" };
                printer.note(&format!("`{dir}`: taking its {pictures} as a video of {rate} {frames} per second"));
            }
            Event::Warning(warning) => printer.warning(warning),
            Event::FirstToken => {
                printer.detail(&format!("first token after {:.2} s", self.started.elapsed().as_secs_f64()));
            }
        }
    }

    fn piece(&mut self, text: &str) -> ControlFlow<()> {
        if !self.shows_answer {
            return ControlFlow::Continue(());
        }
        match self.printer.answer(text) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// What the program fails with when the engine fails with `error`: a mistake in the arguments is named by its flag.
pub(crate) fn surface(error: Error) -> anyhow::Error {
    match error {
        Error::Stage(error) => error.into(),
        Error::NotForAPicture { path, what } => {
            let flag = match what {
                PictureMisfit::Frames => "--frames",
                PictureMisfit::Fps => "--fps",
                PictureMisfit::Start => "--start",
                PictureMisfit::End => "--end",
                PictureMisfit::Moments => "--at",
                PictureMisfit::TimeInstruction => "--time-instruction",
            };
            UsageError(format!("`{}` is a picture; {flag} does not apply", path.display())).into()
        }
        Error::OnlyPictures { path } => {
            let video = path.display();
            let message =
                format!("several files can only be pictures, and `{video}` is a video; a question needs quotes");
            UsageError(message).into()
        }
        error => error.into(),
    }
}
