//! Which clip, and which of its frames: what every command that reads clips takes.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Args, ValueHint};
use llava_video::video::SamplePolicy;

use super::values::{at_least_one, moment, positive};
use crate::cli::exit::UsageError;

/// Which frames of a clip are taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    /// Sampled from those that appear from `start_secs` on and before `end_secs`.
    Part { start_secs: f64, end_secs: f64, policy: SamplePolicy },
    /// Those shown at these moments, in seconds, ascending.
    Moments(Vec<f64>),
}

/// Which clip, and which of its frames are taken.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClipArgs {
    /// The video or picture: a file, a directory of pictures as a video, or `-` for standard input.
    #[arg(value_name = "VIDEO", value_hint = ValueHint::FilePath)]
    pub(crate) video: OsString,

    /// Take exactly N frames, uniform over the whole clip (a short clip repeats some); with --fps, at most N.
    #[arg(long, value_name = "N", default_value = "110", value_parser = at_least_one)]
    frames: usize,

    /// Take one frame every round(rate / R) instead, unless that gives more than --frames.
    #[arg(long, value_name = "R", value_parser = positive)]
    fps: Option<f64>,

    /// Use the clip from here on: seconds, or h:mm:ss.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start: Option<f64>,

    /// Use the clip up to here, this moment not included.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end: Option<f64>,

    /// Take the frames shown at these moments instead.
    #[arg(long, value_name = "TIME,...", value_parser = moment, value_delimiter = ',')]
    #[arg(conflicts_with_all = ["frames", "fps", "start", "end"])]
    at: Vec<f64>,

    /// Frames per second of a directory of pictures.
    #[arg(long, value_name = "R", default_value = "1", value_parser = positive)]
    pub(crate) image_fps: f64,

    /// Refuse a damaged clip instead of using what can be decoded.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Give a clip up when opening or reading it takes longer. [default: scaled with the clip]
    #[arg(long, value_name = "SECS", value_parser = positive)]
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
            true => Ok(Selection::Part { start_secs: start, end_secs: end, policy: self.policy() }),
            false => Err(UsageError(format!("--start {start} is not before --end {end}"))),
        }
    }

    /// A flag that was given and that only videos have a meaning for.
    pub(crate) fn time_flag(&self) -> Option<&'static str> {
        let given = [("--fps", self.fps.is_some()), ("--start", self.start.is_some()), ("--end", self.end.is_some())];
        let given = given.into_iter().chain([("--at", !self.at.is_empty())]);
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        // What no clock can hold is no limit.
        self.decode_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }

    fn policy(&self) -> SamplePolicy {
        SamplePolicy { max_frames: self.frames, fps: self.fps }
    }
}
