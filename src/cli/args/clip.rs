//! Which clip, and which of its frames: what every command that reads clips takes.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};
use llava_video::batch::JobFrames;
use llava_video::engine::Selection;
use llava_video::moment;

use super::help::heading::FRAMES;
use super::values::{at_least_one, positive};
use crate::cli::exit::UsageError;

/// Which clip, and which of its frames are taken.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClipArgs {
    /// The video or picture: a file, a directory of pictures as a video, or `-` for standard input.
    #[arg(value_name = "VIDEO", value_hint = ValueHint::FilePath)]
    pub(crate) video: OsString,

    #[command(flatten)]
    pub(crate) frames: FrameArgs,
}

/// Which frames of a clip are taken, and how it is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct FrameArgs {
    /// Take exactly N frames, spread evenly over the clip (a short clip repeats some); with --fps, at most N.
    /// [default: 110]
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one, help_heading = FRAMES)]
    frames: Option<usize>,

    /// Take R frames per second instead, unless that gives more than --frames: one frame every round(rate / R).
    #[arg(long, value_name = "R", value_parser = positive, help_heading = FRAMES)]
    fps: Option<f64>,

    /// Start at this time of the clip: 90, 1:30 or 1m30s.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, help_heading = FRAMES)]
    start: Option<f64>,

    /// End before this time of the clip.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, help_heading = FRAMES)]
    end: Option<f64>,

    /// Take the frames shown at these times instead.
    #[arg(long, value_name = "TIME,...", value_parser = moment::parse, value_delimiter = ',', help_heading = FRAMES)]
    #[arg(conflicts_with_all = ["frames", "fps", "start", "end"])]
    at: Vec<f64>,

    /// Frames per second of a directory of pictures.
    #[arg(long, value_name = "R", default_value = "1", value_parser = positive, help_heading = FRAMES)]
    pub(crate) image_fps: f64,

    /// Refuse a damaged clip instead of using the frames that can be decoded.
    #[arg(long, help_heading = FRAMES)]
    pub(crate) strict: bool,

    /// Give up when opening or reading the clip takes longer than this. [default: grows with the clip]
    #[arg(long, value_name = "SECS", value_parser = positive, help_heading = FRAMES)]
    decode_timeout: Option<f64>,
}

impl FrameArgs {
    /// Where every input says which frames it takes; of a directory of pictures, `image_fps` a second.
    pub(super) fn of_inputs(image_fps: f64) -> Self {
        let (frames, fps, start, end, at, decode_timeout) = (None, None, None, None, Vec::new(), None);
        Self { frames, fps, start, end, at, image_fps, strict: false, decode_timeout }
    }

    /// Which frames to take.
    pub(crate) fn selection(&self) -> Result<Selection, UsageError> {
        if !self.at.is_empty() {
            let mut moments = self.at.clone();
            moments.sort_by(f64::total_cmp);
            return Ok(Selection::Moments(moments));
        }
        match (self.start, self.end) {
            (Some(start), Some(end)) if start >= end => {
                Err(UsageError(format!("--start {start} is not before --end {end}")))
            }
            (None, Some(end)) if end <= 0.0 => Err(UsageError(format!("--start 0 is not before --end {end}"))),
            (start_secs, end_secs) => {
                Ok(Selection::Part { start_secs, end_secs, max_frames: self.frames, fps: self.fps })
            }
        }
    }

    /// The same as a batch has it, for all inputs that do not say it.
    pub(crate) fn job_frames(&self) -> JobFrames {
        let mut moments_secs = self.at.clone();
        moments_secs.sort_by(f64::total_cmp);
        let Self { start, end, frames, fps, .. } = self;
        JobFrames { start_secs: *start, end_secs: *end, moments_secs, max_frames: *frames, fps: *fps }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        // What no clock can hold is no limit.
        self.decode_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }
}
