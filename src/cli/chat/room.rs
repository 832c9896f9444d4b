//! Where a chat with a model happens: what is shown with its visual tokens, and one session over all turns.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use image::RgbImage;
use llava_video::Error;
use llava_video::engine::{self, Engine, Exchange, Media, Placing, Session, SizedPrompt, Visual};
use llava_video::prompt;
use llava_video::video::isolated::View;

use super::super::args::AnswerArgs;
use super::super::desk::Desk;
use super::super::observer::surface;
use super::super::opened::Opened;
use super::super::pictures::{self, Grid, Look};
use super::super::signals::Signals;
use super::dialogue::{Failure, Responder, Subject, Turn};
use super::settings::Settings;

/// What is shown to the model.
pub(super) struct Scene {
    /// As they were given.
    files: Vec<OsString>,
    /// Keeps what was read from a stream.
    _opened: Opened,
    media: Media,
    visual: Visual,
}

impl Scene {
    pub(super) fn new(files: Vec<OsString>, opened: Opened, media: Media, visual: Visual) -> Self {
        Self { files, _opened: opened, media, visual }
    }
}

/// A model that is loaded, and what it is asked about.
pub(super) struct Room<'e, 'd, 'p> {
    engine: &'e Engine,
    session: Session<'e>,
    scene: Scene,
    /// Where the model was loaded.
    placing: Placing,
    args: &'e AnswerArgs,
    signals: &'e Signals,
    pub(super) desk: &'d mut Desk<'p>,
    /// Whether an empty line stands between answers.
    parts_answers: bool,
    has_answered: bool,
}

impl<'e, 'd, 'p> Room<'e, 'd, 'p> {
    pub(super) fn new(
        engine: &'e Engine,
        (scene, placing): (Scene, Placing),
        args: &'e AnswerArgs,
        signals: &'e Signals,
        desk: &'d mut Desk<'p>,
        parts_answers: bool,
    ) -> Result<Self> {
        let session = engine.session(&placing).map_err(surface)?;
        Ok(Self { engine, session, scene, placing, args, signals, desk, parts_answers, has_answered: false })
    }

    /// The prompt of a question, if the context has room for it.
    fn prompt(&self, past: &[Exchange], question: &str, settings: &Settings) -> Result<SizedPrompt> {
        let prompt = self.engine.prompt(&self.scene.media, past, question, &settings.options);
        prompt.map_err(|error| match error {
            engine::Error::Stage(Error::Prompt(error)) if !past.is_empty() => full(error),
            error => surface(error),
        })
    }

    /// Makes room in memory up to the end of the longest answer to `prompt`.
    fn make_room(&mut self, prompt: &SizedPrompt, past: &[Exchange], settings: &Settings) -> Result<()> {
        let (media, options) = (&self.scene.media, &settings.options);
        let placing = self.engine.place_turn(media, prompt, options, !self.args.no_video, Some(&self.placing));
        let placing = placing.map_err(surface)?;
        if !placing.memory.fits() {
            return Err(match past.is_empty() {
                true => surface(self.engine.refusal_of_turn(&placing, media, "", options)),
                false => Error::from(llava_video::memory::Error::does_not_fit(&placing.memory, Vec::new())).into(),
            }
            .context("the conversation has grown too long; `/undo`, `/clear` or a smaller max-new-tokens makes room"));
        }
        Ok(self.session.reserve(placing.memory.demand.cache_positions)?)
    }
}

/// A conversation that fills the context, with what makes room in it.
fn full(error: prompt::Error) -> anyhow::Error {
    let (prompt_tokens, context_length, frames_that_fit) = match error {
        prompt::Error::TooLong { prompt_tokens, context_length, frames_that_fit } => {
            (prompt_tokens, context_length, frames_that_fit)
        }
        prompt::Error::TooManyPictures { prompt_tokens, context_length, .. } => (prompt_tokens, context_length, None),
        error => return Error::from(error).into(),
    };
    let fewer =
        frames_that_fit.map_or_else(String::new, |frames| format!(", and so does a chat with `--frames {frames}`"));
    anyhow!(
        "the conversation is full: with this question it takes {prompt_tokens} positions, but the model has room for \
         fewer than {context_length}; `/undo` or `/clear` makes room{fewer}"
    )
}

impl Responder for Room<'_, '_, '_> {
    fn answer(&mut self, past: &[Exchange], question: &str, settings: &Settings) -> Result<Turn, Failure> {
        self.signals.begin_work();
        self.desk.onlooker.begin_answer();
        let prompt = self.prompt(past, question, settings)?;
        self.make_room(&prompt, past, settings)?;
        if self.has_answered && self.parts_answers {
            self.desk.printer().answer("\n").map_err(Failure::Output)?;
        }
        self.has_answered = true;
        let sampling = self.engine.sampling(&settings.sampling);
        let shown = (&self.scene.media, self.scene.visual.tokens.as_slice());
        let (session, options) = (&mut self.session, &settings.options);
        let answer = self.engine.answer(session, &prompt, shown, options, &sampling, &mut self.desk.watch());
        self.desk.printer().end_progress();
        let answer = answer.map_err(|error| match error {
            engine::Error::Abandoned => Failure::Output(self.desk.onlooker.surface(error)),
            error => Failure::Line(surface(error)),
        })?;
        let (timings, total) = self.desk.take_timings();
        let seed = (sampling.temperature > 0.0).then_some(sampling.seed);
        let frames_encoded = std::mem::take(&mut self.scene.visual.frames_encoded);
        Ok(Turn { question: question.to_owned(), prompt, answer, frames_encoded, seed, timings, total })
    }

    fn show(&mut self, files: &[OsString], settings: &Settings) -> Result<()> {
        if self.args.no_video && !files.is_empty() {
            bail!("the model was loaded without its vision tower; start the chat without --no-video");
        }
        self.signals.begin_work();
        let (interrupt, options) = (self.signals.interrupt(), &settings.options);
        check_no_stdin(files)?;
        let mut opened = Opened::new(files, &self.args.asking.frames, interrupt, self.desk)?;
        let mut media = opened.media(self.engine, "", options, self.desk)?;
        let prompt = self.engine.prompt(&media, &[], "", options).map_err(surface)?;
        let placing = self.engine.place_turn(&media, &prompt, options, !self.args.no_video, Some(&self.placing));
        let placing = placing.map_err(surface)?;
        if !placing.memory.fits() {
            return Err(surface(self.engine.refusal_of_turn(&placing, &media, "", options)));
        }
        let seen =
            self.engine.look(&mut media, &placing.devices, interrupt, &mut self.desk.watch()).map_err(surface)?;
        let visual = self.engine.encode(&media, seen, &mut self.desk.watch());
        self.desk.printer().end_progress();
        self.scene = Scene::new(files.to_vec(), opened, media, visual.map_err(surface)?);
        Ok(())
    }

    fn subject(&self) -> Subject {
        let Scene { files, media, .. } = &self.scene;
        Subject { files: files.clone(), sampled_frames: media.clip().map(|clip| clip.plan().indices.len()) }
    }

    fn frames(&self) -> Vec<String> {
        let pictures = self.scene.media.pictures().iter().map(|picture| {
            let (width, height) = picture.size();
            format!("{}  {width}x{height}", picture.path().display())
        });
        let clip = self.scene.media.clip();
        let frames = clip.into_iter().flat_map(|clip| clip.plan().indices.iter().zip(clip.label_secs()));
        pictures.chain(frames.map(|(&index, secs)| pictures::frame_label(index, secs))).collect()
    }

    fn write_sheet(&mut self, file: PathBuf) -> Result<()> {
        let Some(format) = pictures::sheet_format(&file) else {
            bail!("`{}`: expected a .png or .jpg file", file.display());
        };
        self.signals.begin_work();
        let Media::Clip(clip) = &mut self.scene.media else {
            bail!("pictures are shown, which have no sheet of frames")
        };
        let grid = Grid::new(clip.plan().indices.len(), (clip.info().width, clip.info().height));
        let thumbnail = |frame: llava_video::video::Frame| (frame.index, grid.thumbnail(&Look::Frame.picture(frame)));
        let read = clip.read(View::Native, self.signals.interrupt(), &mut self.desk.onlooker, thumbnail);
        let frames = read.map_err(surface)?;
        let tile = |(&index, secs): (&usize, f64)| -> Result<(&RgbImage, String)> {
            let found = frames.iter().find(|(number, _)| *number == index);
            let (_, picture) = found.with_context(|| format!("frame {index} is missing"))?;
            Ok((picture, pictures::frame_label(index, secs)))
        };
        let tiles = clip.plan().indices.iter().zip(clip.label_secs()).map(tile).collect::<Result<Vec<_>>>()?;
        pictures::save(&grid.sheet(&tiles), &file, format)
    }

    fn model(&self) -> &str {
        &self.args.asking.checkpoint.model
    }
}

/// Standard input is where questions come from.
pub(super) fn check_no_stdin(files: &[OsString]) -> Result<()> {
    match files
        .iter()
        .any(|file| super::super::stream::Stream::named(file) == Some(super::super::stream::Stream::Stdin))
    {
        true => bail!("the questions of a chat come from standard input, so that the video cannot; name a file"),
        false => Ok(()),
    }
}
