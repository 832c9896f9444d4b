//! The files that a command is about, opened in order: one clip, or pictures.

use std::ffi::OsString;

use anyhow::Result;
use llava_video::engine::{self, AskOptions, Engine, Media, PlannedClip};
use llava_video::interrupt::Interrupt;

use super::args::FrameArgs;
use super::desk::Desk;
use super::input::Input;
use super::observer::surface;

/// Files of which the first is open. What was read from a stream is there as long as this is.
pub(crate) struct Opened {
    inputs: Vec<Input>,
    first: Option<PlannedClip>,
}

impl Opened {
    /// Opens the first of `files`; several must be pictures.
    pub(crate) fn new(
        files: &[OsString],
        args: &FrameArgs,
        interrupt: &Interrupt,
        desk: &mut Desk<'_>,
    ) -> Result<Self> {
        let inputs = files.iter().map(|file| Input::new(file, args, interrupt, desk.printer()));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let first = inputs.first().map(|input| desk.open(input, interrupt)).transpose()?;
        if let Some(video) = first.as_ref().filter(|clip| inputs.len() > 1 && !clip.info().is_picture()) {
            return Err(surface(engine::Error::OnlyPictures { path: video.path().to_owned() }));
        }
        Ok(Self { inputs, first })
    }

    /// What is asked about, pictures decoded: those that leave no room for `question` in the context are refused
    /// before.
    pub(crate) fn media(
        &mut self,
        engine: &Engine,
        question: &str,
        options: &AskOptions,
        desk: &mut Desk<'_>,
    ) -> Result<Media> {
        match self.first.take() {
            None => Ok(Media::Nothing),
            Some(clip) if !clip.info().is_picture() => Ok(Media::Clip(Box::new(clip))),
            Some(picture) => {
                let more: Vec<_> = self.inputs[1..].iter().map(|input| input.request.clone()).collect();
                let cut = engine.cut_pictures(picture, &more, question, options, &mut desk.watch());
                Ok(Media::Pictures(cut.map_err(surface)?))
            }
        }
    }
}
