//! A clip whose frames are planned, and replanned where it turns out to hold others than its container says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{Error, PictureMisfit};
use super::events::{Event, Observer, Stage};
use crate::interrupt::Interrupt;
use crate::stamp::Stamp;
use crate::video::isolated::{IsolatedClip, Launcher, View};
use crate::video::{self, Access, ClipInfo, ClipOptions, Frame, FramePlan, ReadError, SamplePolicy};

/// Frames to sample from a video unless another number is asked for.
pub const DEFAULT_FRAMES: usize = 110;

/// A clip is read again when its frames turn out to be others than its index says; each time a surer way is taken, and
/// there are fewer ways than this.
const MAX_READINGS: usize = 8;

/// Moments that differ by less are the same: containers round their time stamps to milliseconds.
const MOMENT_TOLERANCE_SECS: f64 = 1e-3;

/// Which frames of a clip are taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Selection {
    /// Sampled from a part of the clip.
    Part {
        /// Only frames that appear from here on.
        start_secs: Option<f64>,
        /// Only frames that appear before this.
        end_secs: Option<f64>,
        /// How many; at most so many where `fps` is given.
        max_frames: Option<usize>,
        /// Frames per second.
        fps: Option<f64>,
    },
    /// Those shown at these moments, in seconds, ascending.
    Moments(Vec<f64>),
}

impl Default for Selection {
    /// [`DEFAULT_FRAMES`] of the whole clip.
    fn default() -> Self {
        Self::Part { start_secs: None, end_secs: None, max_frames: None, fps: None }
    }
}

impl Selection {
    /// What of it only makes sense where time passes.
    fn time_option(&self) -> Option<PictureMisfit> {
        match self {
            Self::Part { fps: Some(_), .. } => Some(PictureMisfit::Fps),
            Self::Part { start_secs: Some(_), .. } => Some(PictureMisfit::Start),
            Self::Part { end_secs: Some(_), .. } => Some(PictureMisfit::End),
            Self::Part { .. } => None,
            Self::Moments(_) => Some(PictureMisfit::Moments),
        }
    }

    /// What of it makes no sense for still pictures that are cut into tiles.
    pub(super) fn frames_option(&self) -> Option<PictureMisfit> {
        matches!(self, Self::Part { max_frames: Some(_), .. }).then_some(PictureMisfit::Frames)
    }
}

/// Which clip or picture to open, and which of its frames to take.
#[derive(Debug, Clone)]
pub struct ClipRequest {
    /// As given, for reports.
    pub path: PathBuf,
    /// Where its bytes are: `path`, unless they were copied from a stream.
    pub place: PathBuf,
    /// What messages call it.
    pub name: PathBuf,
    /// Which frames.
    pub selection: Selection,
    /// How it is read.
    pub options: ClipOptions,
    /// Bounds opening and each reading by wall time; `None` scales with the clip.
    pub timeout: Option<Duration>,
    /// The process that decodes.
    pub launcher: Launcher,
}

impl ClipRequest {
    /// All of a file, in the default number of frames, decoded by `launcher`.
    pub fn new(path: impl Into<PathBuf>, launcher: Launcher) -> Self {
        let path = path.into();
        let (place, name) = (path.clone(), path.clone());
        let (selection, options) = (Selection::default(), ClipOptions::default());
        Self { path, place, name, selection, options, timeout: None, launcher }
    }
}

/// What reading a clip taught, beside its frames: enough to go on without reading it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Facts as they are known now.
    pub info: ClipInfo,
    /// The plan that was carried out.
    pub plan: FramePlan,
    /// Presentation times of the frames that were read, in seconds, by frame number, where the container has them.
    pub pts_secs: BTreeMap<usize, f64>,
    /// What was warned of while it was read.
    pub warnings: Vec<String>,
}

/// A clip whose frames are planned.
#[derive(Debug)]
pub struct PlannedClip {
    clip: IsolatedClip,
    path: PathBuf,
    /// The file as it was right before it was opened.
    stamp: Stamp,
    name: PathBuf,
    selection: Selection,
    options: ClipOptions,
    plan: FramePlan,
    /// The last reading, by this or by an earlier process.
    reading: Option<Reading>,
}

impl PlannedClip {
    /// Opens the clip and plans its frames; nothing is decoded into pictures yet.
    ///
    /// # Errors
    /// A clip that cannot be opened, that has no frame where one is asked for, or a picture of which times are asked.
    pub fn open(request: &ClipRequest, interrupt: &Interrupt, observer: &mut dyn Observer) -> Result<Self, Error> {
        let ClipRequest { path, place, name, selection, options, timeout, launcher } = request;
        let keep_going = || interrupt.signal().is_none();
        let stamp = Stamp::of(place);
        let clip = IsolatedClip::open_as(place, name, options, *timeout, launcher, &keep_going)
            .map_err(|error| or_interrupted(error, interrupt))?;
        // What could be opened can be looked at.
        let stamp = stamp.map_err(|source| video::Error::Io { path: name.clone(), source })?;
        clip.unconfined().iter().for_each(|what| observer.tell(Event::Unconfined(what)));
        // Before anything is planned: all that could be said of a moment then is that it lies past the end.
        if let Some(what) = selection.time_option().filter(|_| clip.info().is_picture()) {
            return Err(Error::NotForAPicture { path: name.clone(), what });
        }
        let mut planned = Self {
            clip,
            path: path.clone(),
            stamp,
            name: name.clone(),
            selection: selection.clone(),
            options: options.clone(),
            plan: FramePlan { indices: Vec::new(), label_secs: Vec::new() },
            reading: None,
        };
        planned.tell_what_was_taken(observer);
        planned.tell_warnings(observer);
        planned.plan_frames(interrupt)?;
        Ok(planned)
    }

    /// A directory is not obviously a video: tells that its pictures are taken for one.
    fn tell_what_was_taken(&self, observer: &mut dyn Observer) {
        if matches!(self.info().access, Access::Files) && !self.info().is_picture() {
            let (pictures, frames_per_sec) = (self.info().frame_count, self.info().avg_fps);
            observer.tell(Event::TakenForVideo { dir: &self.path, pictures, frames_per_sec });
        }
    }

    /// Tells what the clip warns of, each with the name of the file, and returns it.
    fn tell_warnings(&mut self, observer: &mut dyn Observer) -> Vec<String> {
        let name = self.name.display();
        let warnings: Vec<String> =
            self.clip.take_warnings().iter().map(|warning| format!("{name}: {warning}")).collect();
        warnings.iter().for_each(|warning| observer.tell(Event::Warning(warning)));
        warnings
    }

    /// Plans the selected frames from what is known of the clip now.
    fn plan_frames(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        let (count, rate) = (self.clip.info().frame_count, self.clip.info().avg_fps);
        let keep_going = || interrupt.signal().is_none();
        let mut before =
            |secs: &[f64]| self.clip.frames_before(secs, &keep_going).map_err(|error| or_interrupted(error, interrupt));
        self.plan = match &self.selection {
            Selection::Part { start_secs, end_secs, max_frames, fps } => {
                let first = match start_secs {
                    Some(secs) if *secs > 0.0 => before(&[secs - MOMENT_TOLERANCE_SECS])?[0],
                    _ => 0,
                };
                let end = match end_secs {
                    Some(secs) => before(&[secs - MOMENT_TOLERANCE_SECS])?[0],
                    None => count,
                };
                // A picture is one frame, unless more of it are asked for.
                let default = if self.clip.info().is_picture() { 1 } else { DEFAULT_FRAMES };
                let policy = SamplePolicy { max_frames: max_frames.unwrap_or(default), fps: *fps };
                video::plan_part(first..end, rate, &policy)
            }
            Selection::Moments(moments) => {
                let after: Vec<f64> = moments.iter().map(|secs| secs + MOMENT_TOLERANCE_SECS).collect();
                let indices = before(&after)?.into_iter().map(|shown| shown.saturating_sub(1)).collect();
                video::plan_moments(indices, moments, rate)
            }
        };
        let info = self.clip.info();
        let lasts_secs = info.duration_secs().max(info.span_secs.unwrap_or(0.0));
        let asked_secs = match &self.selection {
            Selection::Part { start_secs, .. } if self.plan.indices.is_empty() => start_secs.unwrap_or(0.0),
            Selection::Moments(moments) if moments.last().is_some_and(|&last| last > lasts_secs) => {
                moments.last().copied().unwrap_or_default()
            }
            _ => return Ok(()),
        };
        Err(video::Error::NoFrameThen { path: self.name.clone(), asked_secs, lasts_secs }.into())
    }

    /// Facts of the clip, as far as they are known.
    pub fn info(&self) -> &ClipInfo {
        self.reading.as_ref().map_or_else(|| self.clip.info(), |reading| &reading.info)
    }

    /// The frames to take; those that were taken, once the clip has been read.
    pub fn plan(&self) -> &FramePlan {
        &self.plan
    }

    /// The clip as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that holds its bytes, as it was right before it was opened.
    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Which frames were asked for.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// How it is read.
    pub fn options(&self) -> &ClipOptions {
        &self.options
    }

    /// Length in seconds as the model is told: frames over average rate; but where moments past that were asked for, of
    /// a clip whose rate varies, the span of its time stamps.
    pub fn told_secs(&self) -> f64 {
        let info = self.info();
        let is_past = |moments: &Vec<f64>| moments.last().is_some_and(|&last| last > info.duration_secs());
        match (&self.selection, info.span_secs) {
            (Selection::Moments(moments), Some(span_secs)) if is_past(moments) => span_secs,
            _ => info.duration_secs(),
        }
    }

    /// Number of distinct frames in the plan.
    pub fn distinct_frames(&self) -> usize {
        video::distinct(&self.plan.indices).len()
    }

    /// The labels as the model reads them: seconds with two decimals.
    pub fn label_secs(&self) -> Vec<f64> {
        // By way of the text, so that halves are rounded as they are in the prompt.
        let as_told = |secs: &f64| format!("{secs:.2}").parse().unwrap_or(*secs);
        self.plan.label_secs.iter().map(as_told).collect()
    }

    /// Presentation time of a frame that was read, in seconds; `None` where the container has none.
    pub fn pts_secs(&self, index: usize) -> Option<f64> {
        self.reading.as_ref()?.pts_secs.get(&index).copied()
    }

    /// What the last reading taught.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// Takes an earlier reading of the same file for one of its own.
    pub fn recall(&mut self, reading: Reading, observer: &mut dyn Observer) {
        reading.warnings.iter().for_each(|warning| observer.tell(Event::Warning(warning)));
        self.plan = reading.plan.clone();
        self.reading = Some(reading);
    }

    /// Ends the process that decodes: nothing more is read of this clip, and what is known of it stays.
    pub fn close(&mut self) {
        self.clip.close();
    }

    /// Decodes each distinct planned frame once, in order, and collects what `on_frame` makes of it. A clip that turns
    /// out to hold another number of frames than its container says is planned anew and read again.
    ///
    /// # Errors
    /// A clip that cannot be read as asked, or an interrupt.
    pub fn read<T>(
        &mut self,
        view: View,
        interrupt: &Interrupt,
        observer: &mut dyn Observer,
        on_frame: impl Fn(Frame) -> T,
    ) -> Result<Vec<T>, Error> {
        let mut warnings = Vec::new();
        for _ in 0..MAX_READINGS {
            let total = self.distinct_frames();
            let mut out = Vec::with_capacity(total);
            let keep_going = || interrupt.signal().is_none();
            let mut pts_secs = BTreeMap::new();
            let mut sink = |frame: Frame| {
                pts_secs.extend(frame.pts_secs.map(|secs| (frame.index, secs)));
                out.push(on_frame(frame));
                observer.tell(Event::Progress { stage: Stage::VideoDecode, done: out.len(), total });
                Ok::<(), Infallible>(())
            };
            let outcome = self.clip.read(&self.plan.indices, view, &keep_going, &mut sink);
            observer.tell(Event::StageOver);
            warnings.extend(self.tell_warnings(observer));
            match outcome {
                Ok(()) => {
                    let (info, plan) = (self.clip.info().clone(), self.plan.clone());
                    self.reading = Some(Reading { info, plan, pts_secs, warnings });
                    return Ok(out);
                }
                Err(ReadError::Clip(video::Error::Recounted { .. })) => self.plan_frames(interrupt)?,
                Err(ReadError::Clip(error)) => return Err(or_interrupted(error, interrupt)),
                Err(ReadError::Sink(never)) => match never {},
            }
        }
        Err(Error::Unsteady)
    }
}

/// What ended the reading of a clip: the user's signal, if there was one, else the error.
fn or_interrupted(error: video::Error, interrupt: &Interrupt) -> Error {
    match interrupt.check() {
        Ok(()) => error.into(),
        Err(interrupted) => interrupted.into(),
    }
}
