//! Visual tokens of a clip that an earlier process may have kept on disk: which entry they would be, what of it is
//! believed, and what is kept of new ones.

use candle_core::Tensor;

use super::clip::{DEFAULT_FRAMES, PlannedClip, Reading, Selection};
use super::events::{Event, Observer};
use super::visual_cache::{AskedFrames, Content, Error, Key, KeyParts, Lookup, VisualCache};
use crate::checkpoint::{Checkpoint, Identity};
use crate::device::Placement;
use crate::interrupt::Interrupt;
use crate::model;
use crate::quantization::Scheme;

/// Where visual tokens are kept, and what they depend on beside the clip.
pub(super) struct Memory<'a> {
    pub(super) cache: &'a VisualCache,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) scheme: Option<Scheme>,
    /// Where the vision tower runs.
    pub(super) placement: &'a Placement,
    pub(super) interrupt: &'a Interrupt,
}

/// What an earlier process kept.
pub(super) struct Kept {
    pub(super) reading: Reading,
    /// `[N_v, D]`, on the CPU.
    pub(super) tokens: Tensor,
}

impl Memory<'_> {
    /// The key of `clip`'s visual tokens; nothing, and a warning, where it cannot be made.
    ///
    /// # Errors
    /// A checkpoint whose files cannot be found, or an interrupt.
    pub(super) fn key(&self, clip: &PlannedClip, observer: &mut dyn Observer) -> Result<Option<Key>, crate::Error> {
        let content = match Content::since(clip.stamp().clone(), self.interrupt) {
            Ok(content) => content,
            Err(error) => return tell(error, observer).map(|()| None),
        };
        Ok(Some(Key::new(&KeyParts {
            content: &content,
            frames: asked(clip.selection()),
            image_fps: clip.options().image_fps,
            is_strict: clip.options().strict,
            checkpoint: self.checkpoint,
            identity: &Identity::of(self.checkpoint)?,
            scheme: self.scheme,
            placement: self.placement,
        })))
    }

    /// What was kept under `key`.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn recall(&self, key: &Key, observer: &mut dyn Observer) -> Result<Option<Kept>, crate::Error> {
        let rule = model::video_tokens(self.checkpoint)?;
        let found = self.cache.get(key, |entry| {
            let reading: Reading = serde_json::from_value(entry.facts).map_err(|error| error.to_string())?;
            let (rows, expected) = (entry.tokens.dims()[0], rule.count(reading.plan.indices.len()));
            match rows == expected {
                true => Ok(Kept { reading, tokens: entry.tokens }),
                false => Err(format!("it has {rows} visual tokens where its frames make {expected}")),
            }
        });
        match found {
            Lookup::Hit(kept) => Ok(Some(kept)),
            Lookup::Miss => Ok(None),
            Lookup::Unusable(error) => tell(error, observer).map(|()| None),
        }
    }

    /// Keeps the visual tokens of a clip that was read.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn keep(
        &self,
        key: &Key,
        reading: &Reading,
        tokens: &Tensor,
        observer: &mut dyn Observer,
    ) -> Result<(), crate::Error> {
        let facts = serde_json::to_value(reading).expect("a reading of plain data");
        match self.cache.put(key, tokens, &facts) {
            Ok(()) => Ok(()),
            Err(error) => tell(error, observer),
        }
    }
}

/// Warns of `error`, which costs no more than time, unless it is an interrupt.
fn tell(error: Error, observer: &mut dyn Observer) -> Result<(), crate::Error> {
    if let Error::Interrupted(interrupted) = error {
        return Err(interrupted.into());
    }
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
    observer.tell(Event::Warning(&format!("the cache of visual tokens is not used: {message}")));
    Ok(())
}

/// The frames that `selection` asks for, with what it leaves open filled in.
fn asked(selection: &Selection) -> AskedFrames<'_> {
    match selection {
        Selection::Part { start_secs, end_secs, max_frames, fps } => AskedFrames::Part {
            start_secs: start_secs.unwrap_or(0.0),
            end_secs: end_secs.unwrap_or(f64::INFINITY),
            max_frames: max_frames.unwrap_or(DEFAULT_FRAMES),
            fps: *fps,
        },
        Selection::Moments(moments) => AskedFrames::Moments(moments),
    }
}
