//! What the process that reads videos cannot give up on this system: found out by letting it read a picture.

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage};
use llava_video::engine::{ClipRequest, Event, Observer, PlannedClip};
use llava_video::interrupt::Interrupt;

use crate::cli::input;

#[derive(Default)]
struct Unconfined(Vec<String>);

impl Observer for Unconfined {
    fn tell(&mut self, event: Event<'_>) {
        if let Event::Unconfined(what) = event {
            self.0.push(what.to_owned());
        }
    }
}

/// In words; empty where the process gives up everything.
///
/// # Errors
/// A picture that cannot be written, or a process that cannot read it.
pub(super) fn missing(interrupt: &Interrupt) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    let picture = dir.path().join("picture.png");
    RgbImage::new(16, 16).save_with_format(&picture, ImageFormat::Png).context("cannot write a picture")?;
    let mut missing = Unconfined::default();
    PlannedClip::open(&ClipRequest::new(picture, input::launcher()?), interrupt, &mut missing)?;
    Ok(missing.0)
}
