//! What several commands need from their arguments: the clip's frames and the text of the question.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use llava_video::Error;
use llava_video::interrupt::Interrupt;
use llava_video::size::counted;
use llava_video::video::isolated::{IsolatedClip, Launcher, View};
use llava_video::video::{self, Access, ClipInfo, ClipOptions, Frame, FramePlan, ReadError, SamplePolicy};

use super::args::{ClipArgs, DECODE_WORKER, DEFAULT_FRAMES, Selection};
use super::exit::UsageError;
use super::file_url;
use super::output::Printer;
use super::stream::{Spool, Stream};

/// A clip is read again when its frames turn out to be others than its index says; each time a surer way is taken, and
/// there are fewer ways than this.
const MAX_READINGS: usize = 8;

/// Moments that differ by less are the same: containers round their time stamps to milliseconds.
const MOMENT_TOLERANCE_SECS: f64 = 1e-3;

/// A clip whose frames are planned.
pub(crate) struct PlannedClip {
    clip: IsolatedClip,
    path: PathBuf,
    /// What errors call the clip.
    name: PathBuf,
    selection: Selection,
    pub(crate) plan: FramePlan,
    /// Presentation times of the frames that were read, by frame number, where the container has them.
    pts_secs: BTreeMap<usize, f64>,
    /// What was read from a stream; goes with the clip.
    _spool: Option<Spool>,
}

/// A flag that means nothing for a picture.
pub(crate) fn does_not_apply(picture: &Path, flag: &str) -> UsageError {
    UsageError(format!("`{}` is a picture; {flag} does not apply", picture.display()))
}

impl PlannedClip {
    /// Opens the clip and plans its frames; nothing is decoded into pictures yet.
    pub(crate) fn open(args: &ClipArgs, interrupt: &Interrupt, printer: &mut Printer) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let launcher = Launcher { program, args: vec![DECODE_WORKER.into()] };
        let options = ClipOptions { strict: args.strict, image_fps: args.image_fps, ..ClipOptions::default() };
        let keep_going = || interrupt.signal().is_none();
        let selection = args.selection()?;
        let path = file_url::local_path(&args.video)?;
        let stream = Stream::named(path.as_os_str());
        let name = stream.as_ref().map_or(path.as_path(), Stream::name).to_owned();
        let spool = stream.map(|stream| Spool::fill(stream, interrupt, printer)).transpose()?;
        let place = spool.as_ref().map_or(path.as_path(), Spool::path);
        let clip = IsolatedClip::open_as(place, &name, &options, args.timeout(), &launcher, &keep_going)
            .map_err(|error| or_interrupted(error, interrupt))?;
        clip.unconfined().iter().for_each(|what| printer.detail(&format!("decoding: {what}")));
        let plan = FramePlan { indices: Vec::new(), label_secs: Vec::new() };
        let pts_secs = BTreeMap::new();
        // Before anything is planned: all that could be said of a moment then is that it lies past the end.
        if let Some(flag) = args.time_flag().filter(|_| clip.info().is_picture()) {
            return Err(does_not_apply(&name, flag).into());
        }
        let mut planned = Self { clip, path, name, selection, plan, pts_secs, _spool: spool };
        planned.say_what_was_taken(printer);
        planned.show_warnings(printer);
        planned.plan_frames(interrupt)?;
        Ok(planned)
    }

    /// A directory is not obviously a video: says that its pictures are taken for one.
    fn say_what_was_taken(&self, printer: &mut Printer) {
        if matches!(self.info().access, Access::Files) && !self.info().is_picture() {
            let (count, rate) = (self.info().frame_count, self.info().avg_fps);
            let (dir, pictures) = (self.path.display(), counted(count, "picture"));
            let frames = if rate == 1.0 { "frame" } else { "frames" };
            printer.note(&format!("`{dir}`: taking its {pictures} as a video of {rate} {frames} per second"));
        }
    }

    /// Shows what the clip warns of, each with the name of the file.
    fn show_warnings(&mut self, printer: &mut Printer) {
        let name = self.name.display();
        self.clip.take_warnings().iter().for_each(|warning| printer.warning(&format!("{name}: {warning}")));
    }

    /// Plans the selected frames from what is known of the clip now.
    fn plan_frames(&mut self, interrupt: &Interrupt) -> Result<()> {
        let (count, rate) = (self.info().frame_count, self.info().avg_fps);
        let keep_going = || interrupt.signal().is_none();
        let mut before =
            |secs: &[f64]| self.clip.frames_before(secs, &keep_going).map_err(|error| or_interrupted(error, interrupt));
        self.plan = match &self.selection {
            Selection::Part { start_secs, end_secs, max_frames, fps } => {
                let first = if *start_secs > 0.0 { before(&[start_secs - MOMENT_TOLERANCE_SECS])?[0] } else { 0 };
                let end = if end_secs.is_finite() { before(&[end_secs - MOMENT_TOLERANCE_SECS])?[0] } else { count };
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
        let info = self.info();
        let lasts_secs = info.duration_secs().max(info.span_secs.unwrap_or(0.0));
        let asked_secs = match &self.selection {
            Selection::Part { start_secs, .. } if self.plan.indices.is_empty() => *start_secs,
            Selection::Moments(moments) if moments.last().is_some_and(|&last| last > lasts_secs) => {
                moments.last().copied().unwrap_or_default()
            }
            _ => return Ok(()),
        };
        Err(Error::from(video::Error::NoFrameThen { path: self.name.clone(), asked_secs, lasts_secs }).into())
    }

    pub(crate) fn info(&self) -> &ClipInfo {
        self.clip.info()
    }

    /// Length in seconds as the model is told: frames over average rate; but where moments past that were asked for, of
    /// a clip whose rate varies, the span of its time stamps.
    pub(crate) fn told_secs(&self) -> f64 {
        let info = self.info();
        let is_past = |moments: &Vec<f64>| moments.last().is_some_and(|&last| last > info.duration_secs());
        match (&self.selection, info.span_secs) {
            (Selection::Moments(moments), Some(span_secs)) if is_past(moments) => span_secs,
            _ => info.duration_secs(),
        }
    }

    /// The video as given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of distinct frames in the plan.
    pub(crate) fn distinct_frames(&self) -> usize {
        video::distinct(&self.plan.indices).len()
    }

    /// The labels as the model reads them: seconds with two decimals.
    pub(crate) fn label_secs(&self) -> Vec<f64> {
        // By way of the text, so that halves are rounded as they are in the prompt.
        let as_told = |secs: &f64| format!("{secs:.2}").parse().unwrap_or(*secs);
        self.plan.label_secs.iter().map(as_told).collect()
    }

    /// Presentation time of a frame that was read, in seconds; `None` where the container has none.
    pub(crate) fn pts_secs(&self, index: usize) -> Option<f64> {
        self.pts_secs.get(&index).copied()
    }

    /// Decodes each distinct planned frame once, in order, and collects what `on_frame` makes of it. A clip that turns
    /// out to hold another number of frames than its container says is planned anew and read again.
    pub(crate) fn read<T>(
        &mut self,
        view: View,
        interrupt: &Interrupt,
        printer: &mut Printer,
        on_frame: impl Fn(Frame) -> T,
    ) -> Result<Vec<T>> {
        for _ in 0..MAX_READINGS {
            let total = self.distinct_frames();
            let mut out = Vec::with_capacity(total);
            let keep_going = || interrupt.signal().is_none();
            let mut pts_secs = BTreeMap::new();
            let mut sink = |frame: Frame| {
                pts_secs.extend(frame.pts_secs.map(|secs| (frame.index, secs)));
                out.push(on_frame(frame));
                printer.progress("decoding", "frames", out.len(), total);
                Ok::<(), Infallible>(())
            };
            let outcome = self.clip.read(&self.plan.indices, view, &keep_going, &mut sink);
            printer.end_progress();
            self.pts_secs = pts_secs;
            self.show_warnings(printer);
            match outcome {
                Ok(()) => return Ok(out),
                Err(ReadError::Clip(video::Error::Recounted { .. })) => {
                    self.plan_frames(interrupt)?;
                }
                Err(ReadError::Clip(error)) => return Err(or_interrupted(error, interrupt)),
                Err(ReadError::Sink(never)) => match never {},
            }
        }
        bail!("the clip has another number of frames at every reading")
    }
}

/// What ended the reading of a clip: the user's signal, if there was one, else the error.
fn or_interrupted(error: video::Error, interrupt: &Interrupt) -> anyhow::Error {
    match interrupt.check() {
        Ok(()) => Error::from(error).into(),
        Err(interrupted) => interrupted.into(),
    }
}

/// The question as given, or standard input where it is `-` (one final newline removed, nothing else).
pub(crate) fn question(argument: &OsStr, interrupt: &Interrupt, printer: &mut Printer) -> Result<String> {
    let question = if argument == "-" {
        let mut bytes = Vec::new();
        Stream::Stdin.announce("the question", printer);
        Stream::Stdin.read(interrupt, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        String::from_utf8(bytes).map_err(|_| UsageError("the question on standard input is not UTF-8".to_owned()))?
    } else {
        let text = argument.to_str().ok_or_else(|| UsageError("the question is not UTF-8".to_owned()))?;
        text.to_owned()
    };
    match question.trim().is_empty() {
        true => Err(UsageError("the question is empty".to_owned()).into()),
        false => Ok(question),
    }
}
