//! What the vision tower has to look at, read or remembered before weights are loaded, and the visual tokens made of
//! it.

use candle_core::{Device, Tensor};

use super::clip::PlannedClip;
use super::error::Error;
use super::events::{Watch, progress};
use super::media::Media;
use super::remember::Memory;
use super::session::VisualTokens;
use super::visual_cache::Key;
use crate::device::{DeviceMap, Placed};
use crate::interrupt::Interrupt;
use crate::model::{ClipFrames, LlavaVideo};
use crate::video::isolated::View;
use crate::vision::preprocess;

/// What there is to look at.
#[derive(Debug)]
pub struct Seen(Sight);

#[derive(Debug)]
enum Sight {
    /// Nothing.
    Nothing,
    /// A clip's frames, and the name under which their visual tokens are to be kept.
    Frames(ClipFrames, Option<Box<Key>>),
    /// A clip's visual tokens `[N_v, D]`, made by an earlier process; on the CPU.
    Remembered(Tensor),
    /// The tiles of still pictures, which the media hold.
    Tiles,
}

/// Visual tokens, ready for prompts.
#[derive(Debug, Clone, Default)]
pub struct Visual {
    /// One for the clip or for each picture.
    pub tokens: Vec<VisualTokens>,
    /// Frames or tiles that went through the vision tower for them.
    pub frames_encoded: usize,
}

impl Seen {
    /// Whether the tower has to be loaded for it.
    pub fn needs_tower(&self) -> bool {
        match self.0 {
            Sight::Nothing | Sight::Remembered(_) => false,
            Sight::Frames(..) | Sight::Tiles => true,
        }
    }
}

/// Reads what the tower is to look at, `side` pixels a side, unless `memory` has what it made of it before.
pub(super) fn look(
    media: &mut Media,
    side: usize,
    memory: Option<&Memory<'_>>,
    interrupt: &Interrupt,
    watch: &mut Watch<'_>,
) -> Result<Seen, Error> {
    let clip = match media {
        Media::Nothing => return Ok(Seen(Sight::Nothing)),
        Media::Pictures(_) => return Ok(Seen(Sight::Tiles)),
        Media::Clip(clip) => clip,
    };
    let mut key = None;
    // What is dumped has to be computed.
    if let Some(memory) = memory.filter(|_| !watch.trace.is_recording()) {
        key = memory.key(clip, watch.observer)?;
        let kept = key.as_ref().map(|key| memory.recall(key, watch.observer)).transpose()?.flatten();
        if let Some(kept) = kept {
            clip.recall(kept.reading, watch.observer);
            return Ok(Seen(Sight::Remembered(kept.tokens)));
        }
    }
    Ok(Seen(Sight::Frames(frames(clip, side, interrupt, watch)?, key.map(Box::new))))
}

/// Decodes the planned frames of a clip; they come resized, unless full pictures are to be dumped.
fn frames(
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

/// Runs the tower on what was seen, and keeps what it made of a clip in `memory`.
pub(super) fn encode(
    model: &LlavaVideo,
    devices: &DeviceMap,
    media: &Media,
    seen: Seen,
    memory: Option<&Memory<'_>>,
    interrupt: &Interrupt,
    watch: &mut Watch<'_>,
) -> Result<Visual, Error> {
    let Watch { timings, trace, observer } = watch;
    let (encoded, frames_encoded) = match seen.0 {
        Sight::Nothing => (Vec::new(), 0),
        Sight::Remembered(tokens) => {
            let slot = devices.vision_slot();
            (vec![Placed::new(tokens.to_device(&devices.placement(slot).device)?, slot)], 0)
        }
        Sight::Frames(frames, key) => {
            let encode = || {
                let encoded = model.encode_clip(&frames, interrupt, &mut progress(*observer), trace)?;
                devices.synchronize().map_err(crate::Error::from)?;
                Ok::<_, Error>(encoded)
            };
            let encoded = timings.vision.time(encode)?;
            let reading = media.clip().and_then(PlannedClip::reading);
            if let (Some(memory), Some(key), Some(reading)) = (memory, &key, reading) {
                memory.keep(key, reading, encoded.tensor(), *observer)?;
            }
            (vec![encoded], frames.frames_encoded())
        }
        Sight::Tiles => {
            let tiles: Vec<_> = media.pictures().iter().map(|picture| picture.tiles()).collect();
            let encode = || {
                let encoded = model.encode_pictures(&tiles, interrupt, &mut progress(*observer), trace)?;
                devices.synchronize().map_err(crate::Error::from)?;
                Ok::<_, Error>(encoded)
            };
            (timings.vision.time(encode)?, tiles.iter().map(|picture| picture.tiles.len()).sum())
        }
    };
    Ok(Visual { tokens: encoded.into_iter().map(VisualTokens::new).collect(), frames_encoded })
}
