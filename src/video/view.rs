//! What frames are wanted as.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use crate::vision::preprocess;

/// The form in which frames are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// Pictures of their own size.
    Native,
    /// Resized as the vision tower takes them ([`preprocess::resize`]), this many pixels a side.
    Resized(usize),
}

impl View {
    /// A frame of its own size in this form.
    pub(super) fn of(self, frame: Frame) -> Frame {
        match self {
            View::Native => frame,
            View::Resized(side) => {
                let rgb = preprocess::resize(&frame.rgb, frame.width as usize, frame.height as usize, side);
                let side = u32::try_from(side).unwrap_or(u32::MAX);
                Frame { width: side, height: side, rgb, ..frame }
            }
        }
    }
}
