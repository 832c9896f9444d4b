//! What the vision tower has to look at, read before weights are loaded, and the visual tokens made of it.

use candle_core::{Device, Tensor};

use super::error::Error;
use super::events::{Watch, progress};
use super::media::{Media, PlannedClip};
use super::session::VisualTokens;
use crate::interrupt::Interrupt;
use crate::model::{ClipFrames, LlavaVideo};
use crate::video::isolated::View;
use crate::vision::preprocess;

/// What was read of the media.
#[derive(Debug)]
pub enum Seen {
    /// There is nothing to look at.
    Nothing,
    /// A clip's frames.
    Frames(ClipFrames),
    /// The tiles of still pictures, which the media hold.
    Tiles,
}

impl Seen {
    /// Whether the tower has to be loaded for it.
    pub fn needs_tower(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Frames(_) | Self::Tiles => true,
        }
    }
}

/// Decodes the planned frames of a clip; they come resized to `side` pixels, unless full pictures are to be dumped.
pub(super) fn frames(
    clip: &mut PlannedClip,
    side: usize,
    interrupt: &Interrupt,
    watch: &mut Watch<'_>,
) -> Result<ClipFrames, Error> {
    let Watch { timings, trace, observer } = watch;
    if !trace.is_recording() {
        let read = || clip.read(View::Resized(side), interrupt, *observer, |frame| frame.rgb);
        let resized = timings.video_decode.time(read)?;
        return Ok(ClipFrames::new(resized, &clip.plan().indices));
    }
    let full = timings.video_decode.time(|| clip.read(View::Native, interrupt, *observer, |frame| frame))?;
    let mut resized = Vec::with_capacity(full.len());
    for frame in full {
        resized.push(preprocess::resize(&frame.rgb, frame.width as usize, frame.height as usize, side));
        let shape = (1, frame.height as usize, frame.width as usize, 3);
        trace.record("frames", &Tensor::from_vec(frame.rgb, shape, &Device::Cpu)?)?;
    }
    Ok(ClipFrames::new(resized, &clip.plan().indices))
}

/// Runs the tower on what was seen.
pub(super) fn encode(
    model: &LlavaVideo,
    media: &Media,
    seen: &Seen,
    interrupt: &Interrupt,
    watch: &mut Watch<'_>,
) -> Result<Vec<VisualTokens>, Error> {
    let Watch { timings, trace, observer } = watch;
    let encoded = match seen {
        Seen::Nothing => return Ok(Vec::new()),
        Seen::Frames(frames) => {
            let encode = || model.encode_clip(frames, interrupt, &mut progress(*observer), trace);
            vec![timings.vision.time(encode)?]
        }
        Seen::Tiles => {
            let tiles: Vec<_> = media.pictures().iter().map(|picture| picture.tiles()).collect();
            let encode = || model.encode_pictures(&tiles, interrupt, &mut progress(*observer), trace);
            timings.vision.time(encode)?
        }
    };
    Ok(encoded.into_iter().map(VisualTokens::new).collect())
}
