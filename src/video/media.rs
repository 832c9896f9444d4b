//! The kinds of clip, and which of them a path is.

use std::path::Path;

use super::clip::Clip;
use super::error::{Error, ReadError};
use super::frame::Frame;
use super::info::ClipInfo;
use super::options::ClipOptions;
use super::still::images::{self, ImageClip};
use super::still::webp::{self, WebpClip};
use super::view::View;

/// A clip of any kind.
pub(super) enum Media {
    /// What FFmpeg reads, pictures of rare formats among it.
    Video(Box<Clip>),
    /// A directory of pictures, or a single one.
    Images(Box<ImageClip>),
    /// An animated WebP.
    Webp(Box<WebpClip>),
}

impl Media {
    /// Opens what lies at `path` as the kind of clip that it is.
    pub(super) fn open(path: &Path, options: &ClipOptions) -> Result<Self, Error> {
        if path.is_dir() {
            return Ok(Self::Images(Box::new(ImageClip::open_directory(path, options)?)));
        }
        // FFmpeg loses its way in these.
        if webp::is_animation(path) {
            return Ok(Self::Webp(Box::new(WebpClip::open(path, options)?)));
        }
        let image = || ImageClip::open_file(path, options).map(|clip| Self::Images(Box::new(clip)));
        match Clip::open(path, options) {
            // FFmpeg takes a JPEG for a stream of one frame.
            Ok(clip) if clip.info().frame_count == 1 && images::can_read(path) => image(),
            Err(Error::NotVideo { .. }) if images::can_read(path) => image(),
            clip => Ok(Self::Video(Box::new(clip?))),
        }
    }

    pub(super) fn info(&self) -> &ClipInfo {
        match self {
            Self::Video(clip) => clip.info(),
            Self::Images(clip) => clip.info(),
            Self::Webp(clip) => clip.info(),
        }
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Video(clip) => clip.take_warnings(),
            Self::Images(clip) => clip.take_warnings(),
            Self::Webp(_) => Vec::new(),
        }
    }

    pub(super) fn frames_before(&self, secs: f64) -> usize {
        match self {
            Self::Video(clip) => clip.frames_before(secs),
            Self::Images(clip) => clip.frames_before(secs),
            Self::Webp(clip) => clip.frames_before(secs),
        }
    }

    pub(super) fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        match self {
            Self::Video(clip) => clip.read(indices, view, sink),
            Self::Images(clip) => clip.read(indices, view, sink),
            Self::Webp(clip) => clip.read(indices, view, sink),
        }
    }
}
