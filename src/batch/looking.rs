//! Looking at the clips of jobs, ahead of the model: opened, windows planned, frames decoded and resized.

use std::path::Path;
use std::time::{Duration, Instant};

use super::failure::{failure_of, out_of_time};
use super::job::{Job, JobFrames};
use super::record::Failure;
use super::schedule::Scout;
use super::window::{Tail, Windows, windows};
use crate::device::DeviceMap;
use crate::engine::{
    AskOptions, ClipRequest, Engine, Error, Event, Media, Observer, PlannedClip, Seen, Selection, Timings, Watch,
};
use crate::interrupt::Interrupt;
use crate::trace::Trace;
use crate::video::isolated::Launcher;
use crate::video::{self, ClipOptions};

/// How the clips of all jobs are looked at.
#[derive(Debug, Clone)]
pub struct LookOptions {
    /// Which frames, where a job does not say.
    pub frames: JobFrames,
    /// Cut every clip in windows.
    pub windows: Option<Windowing>,
    /// How clips are read.
    pub clip: ClipOptions,
    /// Bounds opening and each reading of a clip; `None` scales with the clip.
    pub timeout: Option<Duration>,
    /// Bounds all looking at a job's clip.
    pub item_timeout: Option<Duration>,
    /// The process that decodes.
    pub launcher: Launcher,
}

/// Windows of a clip, one answer each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowing {
    /// How long a window is.
    pub window_secs: f64,
    /// From the start of one to the start of the next.
    pub stride_secs: f64,
}

/// What was seen of a clip, or of a window of it.
#[derive(Debug)]
pub struct Sight {
    pub(super) media: Media,
    pub(super) seen: Seen,
    /// The window, from and to which second; `None` where there are no windows.
    pub(super) window_secs: Option<(f64, f64)>,
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

/// Looks with one engine's eyes.
#[derive(Debug)]
pub struct Looker<'e> {
    /// The engine, whose model need not be loaded.
    pub engine: &'e Engine,
    /// Where the model runs.
    pub devices: &'e DeviceMap,
    /// How questions are put.
    pub ask: &'e AskOptions,
    /// How clips are looked at.
    pub options: &'e LookOptions,
    /// Ends all looking.
    pub interrupt: &'e Interrupt,
}

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn tell(&mut self, event: Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.push(warning.to_owned());
        }
    }
}

impl Scout for Looker<'_> {
    type Seen = Sight;

    fn look(&self, job: &Job, hand_over: &mut dyn FnMut(Sight) -> bool) -> Result<(), Failure> {
        // Of each piece: waiting for the model takes no time of the next one's.
        let deadline = || self.options.item_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Err(source) = std::fs::metadata(&job.video)
            && source.kind() == std::io::ErrorKind::NotFound
        {
            return Err(Failure::new("missing", format!("{}: no such file", job.video.display()), true));
        }
        let look = |selection, window| {
            let deadline = deadline();
            self.sight(job, selection, window, deadline).map_err(|error| self.failure(&error, deadline))
        };
        let selection = self.options.frames.for_job(&job.frames);
        let Some(windowing) = self.options.windows else {
            hand_over(look(selection, None)?);
            return Ok(());
        };
        let Windows { windows, tail } = self.windows_of(job, &selection, windowing, deadline())?;
        let last = windows.len().saturating_sub(1);
        for (index, window) in windows.into_iter().enumerate() {
            let selection = selection.within(window);
            let mut sight = look(selection, Some(window))?;
            if let (Tail::Dropped { secs }, true) = (tail, index == last) {
                sight.warnings.push(format!("the last {secs:.3} s are too short for a window and left out"));
            }
            if !hand_over(sight) {
                break;
            }
        }
        Ok(())
    }
}

impl Looker<'_> {
    /// The windows of a job's clip.
    fn windows_of(
        &self,
        job: &Job,
        selection: &Selection,
        windowing: Windowing,
        deadline: Option<Instant>,
    ) -> Result<Windows, Failure> {
        let failed = |error: &Error| self.failure(error, deadline);
        let whole = self.request(&job.video, Selection::default(), deadline);
        let clip = PlannedClip::open(&whole, self.interrupt, &mut ()).map_err(|error| failed(&error))?;
        if clip.info().is_picture() {
            let message = format!("{}: is a picture, which has no windows", job.video.display());
            return Err(Failure::new("video", message, false));
        }
        let (start, end) = match selection {
            Selection::Part { start_secs, end_secs, .. } => (*start_secs, *end_secs),
            Selection::Moments(_) => {
                return Err(Failure::new("input", "moments and windows exclude each other", false));
            }
        };
        let Windowing { window_secs, stride_secs } = windowing;
        let lasts_secs = clip.info().duration_secs();
        windows(lasts_secs, start, end, window_secs, stride_secs)
            .map_err(|error| Failure::new("input", format!("{}: {error}", job.video.display()), false))
    }

    /// A clip that was given up is told by the limit that it met.
    fn failure(&self, error: &Error, deadline: Option<Instant>) -> Failure {
        let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        match error {
            Error::Stage(crate::Error::Video(video::Error::TimedOut { .. })) if is_over => {
                out_of_time(self.options.item_timeout)
            }
            error => failure_of(error, self.options.item_timeout),
        }
    }

    fn request(&self, video: &Path, selection: Selection, deadline: Option<Instant>) -> ClipRequest {
        let LookOptions { clip, timeout, launcher, .. } = self.options;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = match (*timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        };
        let request = ClipRequest::new(video, launcher.clone());
        ClipRequest { selection, options: clip.clone(), timeout, ..request }
    }

    /// Opens a clip or picture and reads what the vision tower is to look at.
    fn sight(
        &self,
        job: &Job,
        selection: Selection,
        window_secs: Option<(f64, f64)>,
        deadline: Option<Instant>,
    ) -> Result<Sight, Error> {
        let (mut warnings, mut timings, mut trace) = (Warnings::default(), Timings::default(), Trace::default());
        let mut open = |selection| {
            let request = self.request(&job.video, selection, deadline);
            timings.probe.time(|| PlannedClip::open(&request, self.interrupt, &mut warnings))
        };
        // What the run says of the frames of its clips does not concern a picture among them.
        let is_runs = job.frames == JobFrames::default();
        let clip = match open(selection) {
            Err(Error::NotForAPicture { .. }) if is_runs => open(Selection::default())?,
            Ok(clip) if is_runs && clip.info().is_picture() => open(Selection::default())?,
            opened => opened?,
        };
        let mut watch = Watch { timings: &mut timings, trace: &mut trace, observer: &mut warnings };
        let mut media = match clip.info().is_picture() {
            true => {
                let longest = job.questions.iter().max_by_key(|question| question.len()).map_or("", String::as_str);
                Media::Pictures(self.engine.cut_pictures(clip, &[], longest, self.ask, &mut watch)?)
            }
            false => Media::Clip(Box::new(clip)),
        };
        let seen = self.engine.look(&mut media, self.devices, self.interrupt, &mut watch)?;
        // Here, so that the model does not wait for its end.
        media.close();
        Ok(Sight { media, seen, window_secs, warnings: warnings.0, timings })
    }
}

impl JobFrames {
    /// What a job takes where this is the run's choice.
    pub fn for_job(&self, job: &Self) -> Selection {
        let moments_secs = match (&self.moments_secs[..], &job.moments_secs[..]) {
            // A job that asks for a part does not take the run's moments.
            (run, []) if job == &Self::default() => run,
            (_, moments) => moments,
        };
        if !moments_secs.is_empty() {
            return Selection::Moments(moments_secs.to_vec());
        }
        Selection::Part {
            start_secs: job.start_secs.or(self.start_secs),
            end_secs: job.end_secs.or(self.end_secs),
            max_frames: job.max_frames.or(self.max_frames),
            fps: job.fps.or(self.fps),
        }
    }
}

impl Selection {
    /// The same of a part of the clip.
    fn within(&self, (start, end): (f64, f64)) -> Self {
        match self {
            Self::Part { max_frames, fps, .. } => {
                Self::Part { start_secs: Some(start), end_secs: Some(end), max_frames: *max_frames, fps: *fps }
            }
            Self::Moments(moments) => Self::Moments(moments.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_says_more_than_the_run() {
        let run = JobFrames { start_secs: Some(1.0), max_frames: Some(8), ..JobFrames::default() };
        let job = JobFrames { end_secs: Some(5.0), max_frames: Some(4), ..JobFrames::default() };
        let part = |start_secs, end_secs, max_frames| Selection::Part { start_secs, end_secs, max_frames, fps: None };
        assert_eq!(run.for_job(&JobFrames::default()), part(Some(1.0), None, Some(8)));
        assert_eq!(run.for_job(&job), part(Some(1.0), Some(5.0), Some(4)));
        let moments = JobFrames { moments_secs: vec![2.0], ..JobFrames::default() };
        assert_eq!(run.for_job(&moments), Selection::Moments(vec![2.0]));
        assert_eq!(moments.for_job(&JobFrames::default()), Selection::Moments(vec![2.0]));
        assert_eq!(moments.for_job(&job), part(None, Some(5.0), Some(4)));
    }
}
