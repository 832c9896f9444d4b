//! What is known of a clip before its frames are read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::ffmpeg::orientation::Orientation;
use super::index::entries::CountSource;
use super::index::rate::RateSource;

/// [`ClipInfo::container`] of a directory of pictures.
pub(super) const DIRECTORY: &str = "images";

/// [`ClipInfo::container`] of a single picture.
pub const SINGLE_IMAGE: &str = "image";

/// How frames are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// By seeking to the groups of pictures that hold them.
    Seek,
    /// By passing over the packets of the groups that hold none.
    Skip,
    /// By decoding everything, and why.
    Linear(Cow<'static, str>),
    /// By opening the picture that each is.
    Files,
}

/// Facts about a clip and its chosen stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipInfo {
    /// Number of presented frames.
    pub frame_count: usize,
    /// Frames that the container speaks of beside these, and that could not be decoded, as far as is known yet.
    pub lost_frames: usize,
    /// Average frames per second.
    pub avg_fps: f64,
    /// Width in pixels, as shown.
    pub width: u32,
    /// Height in pixels, as shown.
    pub height: u32,
    /// How stored pixels are turned to be shown.
    pub orientation: Orientation,
    /// FFmpeg's names of the container, for example `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name of the codec, for example `h264`.
    pub codec: String,
    /// FFmpeg's name of the decoder in use, for example `libdav1d`.
    pub decoder: String,
    /// Number of the chosen stream in the container, from 0.
    pub stream_index: usize,
    /// How `frame_count` was found.
    pub count_source: CountSource,
    /// How `avg_fps` was found.
    pub rate_source: RateSource,
    /// How frames are reached.
    pub access: Access,
    /// Time of the first presented frame in seconds on the container's clock.
    pub start_secs: Option<f64>,
    /// From the first frame's appearance to the end of the last one, in seconds, where time stamps tell.
    pub span_secs: Option<f64>,
    /// FFmpeg's name of the pixel format, for example `yuv420p`; empty where unknown.
    pub pixel_format: String,
    /// FFmpeg's name of the colour matrix, for example `bt709`; `unknown` is converted as BT.601.
    pub color_space: String,
    /// FFmpeg's name of the colour range: `tv`, `pc` or `unknown`, which is taken as `tv`.
    pub color_range: String,
    /// Sample aspect ratio (width, height) as stated, which is not applied; zeros where unknown.
    pub sample_aspect: (i32, i32),
}

impl ClipInfo {
    /// Whether this is a still picture, not a video. FFmpeg reads kinds that the `image` crate does not know as streams
    /// of one frame; directories and animations are videos, whatever the number of their frames.
    pub fn is_picture(&self) -> bool {
        self.container == SINGLE_IMAGE || (self.container.ends_with("_pipe") && self.frame_count == 1)
    }

    /// Facts of a clip of which nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self {
            frame_count: 0,
            lost_frames: 0,
            avg_fps: 0.0,
            width: 0,
            height: 0,
            orientation: Orientation::NONE,
            container: String::new(),
            codec: String::new(),
            decoder: String::new(),
            stream_index: 0,
            count_source: CountSource::Packets,
            rate_source: RateSource::Assumed,
            access: Access::Linear(Cow::Borrowed("not opened yet")),
            start_secs: None,
            span_secs: None,
            pixel_format: String::new(),
            color_space: String::new(),
            color_range: String::new(),
            sample_aspect: (0, 0),
        }
    }

    /// Number of frames that appear before `secs`, by the average rate.
    pub(super) fn frames_before(&self, secs: f64) -> usize {
        ((secs * self.avg_fps).ceil().max(0.0) as usize).min(self.frame_count)
    }

    /// Length in seconds as the reference reckons it: frames over average rate.
    pub fn duration_secs(&self) -> f64 {
        self.frame_count as f64 / self.avg_fps
    }
}
