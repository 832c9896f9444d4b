//! Pictures to ask about: opened, decoded and cut one after another, as long as the prompt has room for them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use llava_video::interrupt::Interrupt;
use llava_video::model::PictureTiles;
use llava_video::video::isolated::View;
use llava_video::vision::anyres::PictureTokens;
use serde_json::{Value, json};

use crate::cli::args::ClipArgs;
use crate::cli::exit::UsageError;
use crate::cli::output::Printer;
use crate::cli::record::Timings;
use crate::cli::request::PlannedClip;

/// A picture ready for the tower.
pub(crate) struct AskedPicture {
    path: PathBuf,
    size: (u32, u32),
    pub(crate) tiles: PictureTiles,
}

impl AskedPicture {
    pub(crate) fn visual_tokens(&self) -> usize {
        self.tiles.layout.count()
    }

    /// What `-v` says of it.
    pub(crate) fn describe(&self) -> String {
        let tiles = match self.tiles.layout.tiles_across_and_down() {
            Some((across, down)) => format!("cut in {across}x{down} tiles, "),
            None => String::new(),
        };
        let (width, height) = self.size;
        format!("picture: `{}`, {width}x{height}, {tiles}{} visual tokens", self.path.display(), self.visual_tokens())
    }

    /// What `--json` says of it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "path": self.path.to_string_lossy(),
            "width": self.size.0,
            "height": self.size.1,
            "tiles": self.tiles.layout.tiles_across_and_down().map(|(across, down)| [across, down]),
            "visual_tokens": self.visual_tokens(),
        })
    }
}

/// Reads pictures.
pub(crate) struct PictureReader<'a> {
    pub(crate) args: &'a ClipArgs,
    pub(crate) rule: &'a PictureTokens,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) timings: &'a mut Timings,
    pub(crate) printer: &'a mut Printer,
}

impl PictureReader<'_> {
    /// Reads `first`, which is open already, and `more`. `make_room` is told how many pictures there are so far and how
    /// many visual tokens they take, before the last of them is decoded.
    pub(crate) fn read_all(
        &mut self,
        first: PlannedClip,
        more: &[&OsStr],
        make_room: &dyn Fn(usize, usize) -> Result<()>,
    ) -> Result<Vec<AskedPicture>> {
        let mut pictures = Vec::with_capacity(1 + more.len());
        let mut visual_tokens = 0;
        let mut opened = Some(first);
        for number in 0..=more.len() {
            let mut clip = match opened.take() {
                Some(first) => first,
                None => self.open(more[number - 1])?,
            };
            let (width, height) = (clip.info().width, clip.info().height);
            let layout = self.rule.layout(width as usize, height as usize);
            let thin = || anyhow!("`{}`: a picture of {width}x{height} is too thin", clip.path().display());
            let layout = layout.ok_or_else(thin)?;
            visual_tokens += layout.count();
            make_room(number + 1, visual_tokens)?;
            let (interrupt, printer) = (self.interrupt, &mut *self.printer);
            let read =
                || clip.read(View::Native, interrupt, printer, |frame| PictureTiles::new(layout.clone(), &frame.rgb));
            let tiles = self.timings.video_decode.time(read)?.pop();
            let tiles = tiles.ok_or_else(|| anyhow!("`{}`: there is no picture in it", clip.path().display()))?;
            pictures.push(AskedPicture { path: clip.path().to_owned(), size: (width, height), tiles });
        }
        Ok(pictures)
    }

    fn open(&mut self, path: &OsStr) -> Result<PlannedClip> {
        let args = self.args.with_video(path);
        let clip = self.timings.probe.time(|| PlannedClip::open(&args, self.interrupt, self.printer))?;
        match clip.info().is_picture() {
            true => Ok(clip),
            false => Err(only_pictures(clip.path()).into()),
        }
    }
}

/// Several files were given, and one of them is a video.
pub(crate) fn only_pictures(video: &Path) -> UsageError {
    let video = video.display();
    UsageError(format!("several files can only be pictures, and `{video}` is a video; a question needs quotes"))
}
