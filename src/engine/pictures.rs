//! Still pictures: opened, decoded, and cut into the tiles that the vision tower takes.

use std::path::{Path, PathBuf};

use super::clip::{ClipRequest, PlannedClip};
use super::error::Error;
use super::events::Watch;
use crate::interrupt::Interrupt;
use crate::model::PictureTiles;
use crate::video::isolated::View;
use crate::vision::anyres::PictureTokens;

/// A picture ready for the tower.
#[derive(Debug)]
pub struct CutPicture {
    path: PathBuf,
    size: (u32, u32),
    tiles: PictureTiles,
}

impl CutPicture {
    /// The file as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Its tiles.
    pub fn tiles(&self) -> &PictureTiles {
        &self.tiles
    }

    /// How many visual tokens it takes.
    pub fn visual_tokens(&self) -> usize {
        self.tiles.layout.count()
    }
}

/// Reads pictures.
pub(super) struct PictureReader<'a, 'w> {
    pub(super) rule: &'a PictureTokens,
    pub(super) interrupt: &'a Interrupt,
    pub(super) watch: &'a mut Watch<'w>,
}

impl PictureReader<'_, '_> {
    /// Reads `first`, which is open already, and `more`. `make_room` is told how many pictures there are so far and how
    /// many visual tokens they take, before the last of them is decoded.
    pub(super) fn read_all(
        &mut self,
        first: PlannedClip,
        more: &[ClipRequest],
        make_room: &dyn Fn(usize, usize) -> Result<(), Error>,
    ) -> Result<Vec<CutPicture>, Error> {
        let mut pictures = Vec::with_capacity(1 + more.len());
        let mut visual_tokens = 0;
        let mut opened = Some(first);
        for number in 0..=more.len() {
            let mut clip = match opened.take() {
                Some(first) => first,
                None => self.open(&more[number - 1])?,
            };
            let (width, height) = (clip.info().width, clip.info().height);
            let layout = self.rule.layout(width as usize, height as usize);
            let layout = layout.ok_or_else(|| Error::TooThin { path: clip.path().to_owned(), width, height })?;
            visual_tokens += layout.count();
            make_room(number + 1, visual_tokens)?;
            let (interrupt, observer) = (self.interrupt, &mut *self.watch.observer);
            let read =
                || clip.read(View::Native, interrupt, observer, |frame| PictureTiles::new(layout.clone(), &frame.rgb));
            let tiles = self.watch.timings.video_decode.time(read)?.pop();
            let tiles = tiles.ok_or_else(|| Error::NoPicture { path: clip.path().to_owned() })?;
            pictures.push(CutPicture { path: clip.path().to_owned(), size: (width, height), tiles });
        }
        Ok(pictures)
    }

    fn open(&mut self, request: &ClipRequest) -> Result<PlannedClip, Error> {
        let (interrupt, observer) = (self.interrupt, &mut *self.watch.observer);
        let clip = self.watch.timings.probe.time(|| PlannedClip::open(request, interrupt, observer))?;
        match clip.info().is_picture() {
            true => Ok(clip),
            false => Err(Error::OnlyPictures { path: clip.path().to_owned() }),
        }
    }
}
