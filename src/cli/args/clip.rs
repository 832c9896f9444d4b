//! Which clip, and which of its frames: what every command that reads clips takes.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Args, ValueHint};

use super::help::heading::FRAMES;
use super::values::{at_least_one, moment, positive};
use crate::cli::exit::UsageError;

/// Frames to sample from a video unless `--frames` says otherwise.
pub(crate) const DEFAULT_FRAMES: usize = 110;

/// Which frames of a clip are taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    /// Sampled from those that appear from `start_secs` on and before `end_secs`; `max_frames` only where it was given.
    Part { start_secs: f64, end_secs: f64, max_frames: Option<usize>, fps: Option<f64> },
    /// Those shown at these moments, in seconds, ascending.
    Moments(Vec<f64>),
}

/// Which clip, and which of its frames are taken.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClipArgs {
    /// The video or picture: a file, a directory of pictures as a video, or `-` for standard input.
    #[arg(value_name = "VIDEO", value_hint = ValueHint::FilePath)]
    pub(crate) video: OsString,

    /// Take exactly N frames, spread evenly over the clip (a short clip repeats some); with --fps, at most N.
    /// [default: 110]
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one, help_heading = FRAMES)]
    frames: Option<usize>,

    /// Take R frames per second instead, unless that gives more than --frames: one frame every round(rate / R).
    #[arg(long, value_name = "R", value_parser = positive, help_heading = FRAMES)]
    fps: Option<f64>,

    /// Start at this time of the clip: 90, 1:30 or 1m30s.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = FRAMES)]
    start: Option<f64>,

    /// End before this time of the clip.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = FRAMES)]
    end: Option<f64>,

    /// Take the frames shown at these times instead.
    #[arg(long, value_name = "TIME,...", value_parser = moment, value_delimiter = ',', help_heading = FRAMES)]
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

impl ClipArgs {
    /// The same for another file.
    pub(crate) fn with_video(&self, video: &OsStr) -> Self {
        Self { video: video.to_owned(), ..self.clone() }
    }

    /// Which frames to take.
    pub(crate) fn selection(&self) -> Result<Selection, UsageError> {
        if !self.at.is_empty() {
            let mut moments = self.at.clone();
            moments.sort_by(f64::total_cmp);
            return Ok(Selection::Moments(moments));
        }
        let (start, end) = (self.start.unwrap_or(0.0), self.end.unwrap_or(f64::INFINITY));
        match start < end {
            true => Ok(Selection::Part { start_secs: start, end_secs: end, max_frames: self.frames, fps: self.fps }),
            false => Err(UsageError(format!("--start {start} is not before --end {end}"))),
        }
    }

    /// `--frames`, if it was given.
    pub(crate) fn frames_flag(&self) -> Option<&'static str> {
        self.frames.map(|_| "--frames")
    }

    /// A flag that was given and that only makes sense where time passes.
    pub(crate) fn time_flag(&self) -> Option<&'static str> {
        let given = [
            ("--fps", self.fps.is_some()),
            ("--start", self.start.is_some()),
            ("--end", self.end.is_some()),
            ("--at", !self.at.is_empty()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        // What no clock can hold is no limit.
        self.decode_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }
}
