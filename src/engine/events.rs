//! What an onlooker of the engine is told while it works: progress, warnings, pieces of the answer; and how long each
//! stage took.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model;
use crate::trace::Trace;

/// A long stage, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Decoding a clip, counted in distinct frames.
    VideoDecode,
    /// Reading weights, counted in layers.
    Load,
    /// The vision tower, counted in layers of frames, or of tiles of pictures.
    Vision,
    /// Prefill, counted in positions.
    Prefill,
}

impl From<model::Stage> for Stage {
    fn from(stage: model::Stage) -> Self {
        match stage {
            model::Stage::Load => Self::Load,
            model::Stage::Vision => Self::Vision,
            model::Stage::Prefill => Self::Prefill,
        }
    }
}

/// Something that happened on the way to an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'e> {
    /// How far a stage is.
    Progress {
        /// Which one.
        stage: Stage,
        /// What of it is done.
        done: usize,
        /// All of it.
        total: usize,
    },
    /// The stage whose progress was told last is over.
    StageOver,
    /// A protection that this system cannot give the process which decodes.
    Unconfined(&'e str),
    /// The pictures of a directory are taken for a video.
    TakenForVideo {
        /// The directory.
        dir: &'e Path,
        /// How many pictures it has.
        pictures: usize,
        /// How many of them make a second.
        frames_per_sec: f64,
    },
    /// Something that the user should know and that stops nothing.
    Warning(&'e str),
    /// The first token is known.
    FirstToken,
}

/// Told what the engine does.
pub trait Observer {
    /// Something happened.
    fn tell(&mut self, event: Event<'_>);

    /// A piece of the answer that is certain now. `Break` ends the answer with
    /// [`Error::Abandoned`](super::Error::Abandoned).
    fn piece(&mut self, text: &str) -> ControlFlow<()> {
        let _ = text;
        ControlFlow::Continue(())
    }
}

/// Nobody looks on.
impl Observer for () {
    fn tell(&mut self, _: Event<'_>) {}
}

/// Everything that is told and kept on the way to an answer.
pub struct Watch<'w> {
    /// How long each stage takes.
    pub timings: &'w mut Timings,
    /// Tensors for comparison, if they are kept.
    pub trace: &'w mut Trace,
    /// Who looks on.
    pub observer: &'w mut dyn Observer,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("timings", &self.timings).finish_non_exhaustive()
    }
}

/// Passes the progress of the model's stages on.
pub(super) fn progress(observer: &mut dyn Observer) -> impl FnMut(model::Stage, usize, usize) {
    move |stage, done, total| observer.tell(Event::Progress { stage: stage.into(), done, total })
}

/// Wall time of one stage; stays zero for a stage that did not run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Runs `work` and adds the time it takes, whether it succeeds or not.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = work();
        self.0 += started.elapsed();
        out
    }

    /// Adds what another measured.
    pub(super) fn add(&mut self, time: Duration) {
        self.0 += time;
    }

    /// The time so far.
    pub fn elapsed(self) -> Duration {
        self.0
    }
}

/// Wall time of each stage on the way to one answer.
#[derive(Debug, Default, Clone, Copy)]
pub struct Timings {
    /// Opening the clip or the pictures.
    pub probe: Stopwatch,
    /// Decoding frames.
    pub video_decode: Stopwatch,
    /// Reading weights.
    pub load: Stopwatch,
    /// Vision tower and projector.
    pub vision: Stopwatch,
    /// Prefill.
    pub prefill: Stopwatch,
    /// Decode steps.
    pub decode: Stopwatch,
    /// Positions that prefill computed.
    pub prefill_tokens: usize,
    /// Decode steps; the first token comes out of prefill, so that they are one fewer than tokens.
    pub decode_steps: usize,
}
