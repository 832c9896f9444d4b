//! What is asked about: nothing, a clip whose frames are planned, or still pictures.

use super::clip::PlannedClip;
use super::pictures::CutPicture;

/// What is asked about.
#[derive(Debug)]
pub enum Media {
    /// The language model alone.
    Nothing,
    /// A clip.
    Clip(Box<PlannedClip>),
    /// Still pictures, in order.
    Pictures(Vec<CutPicture>),
}

impl Media {
    /// The clip, if there is one.
    pub fn clip(&self) -> Option<&PlannedClip> {
        match self {
            Self::Clip(clip) => Some(clip),
            _ => None,
        }
    }

    /// Nothing more is read of a clip, whose process is not kept waiting.
    pub(crate) fn close(&mut self) {
        if let Self::Clip(clip) = self {
            clip.close();
        }
    }

    /// The still pictures; empty where there are none.
    pub fn pictures(&self) -> &[CutPicture] {
        match self {
            Self::Pictures(pictures) => pictures,
            _ => &[],
        }
    }
}
