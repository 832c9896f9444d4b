//! The engine of a batch: opened, placed for the largest input that is foreseen, and loaded once.

use std::time::Instant;

use anyhow::Result;
use llava_video::batch::schedule::Pace;
use llava_video::batch::{Job, LaneOptions, LookOptions, Looker, RunParts};
use llava_video::checkpoint::Identity;
use llava_video::device::DeviceMap;
use llava_video::engine::visual_cache::VisualCache;
use llava_video::engine::{Engine, Foreseen, Placing};
use llava_video::interrupt::Interrupt;
use llava_video::quantization::Scheme;
use llava_video::trace::Trace;
use llava_video::video::ClipOptions;
use llava_video::video::isolated::Launcher;
use llava_video::{Error, threads};

use super::stop::Stopper;
use crate::cli::args::{CacheUse, WorkArgs, most_frames};
use crate::cli::desk::Desk;
use crate::cli::observer::{Onlooker, surface};
use crate::cli::output::Printer;
use crate::cli::{announce, cache, input, model};

/// Bytes of resized frames that may wait for the model.
const AHEAD_BYTES: usize = 512 << 20;

/// Clips that are looked at at once, at most: each is a process of its own.
const MOST_SCOUTS: usize = 8;

/// Pieces that wait for the model beside those that it has room for.
const QUEUE: usize = 4;

/// An engine for many clips.
pub(crate) struct Works {
    engine: Engine,
    placing: Placing,
    look: LookOptions,
    lanes: LaneOptions,
    frames: usize,
    scheme: Option<Scheme>,
}

impl Works {
    /// Opens the checkpoint, fetched before if need be, and finds out where the largest of `jobs` runs.
    ///
    /// # Errors
    /// Whatever can be refused before weights are loaded.
    pub(crate) fn open<'a>(
        args: &WorkArgs,
        jobs: impl Iterator<Item = &'a Job> + Clone,
        stopper: &Stopper,
        printer: &mut Printer,
    ) -> Result<Self> {
        let asking = &args.asking;
        // First, so that it is ready when the model is.
        let launcher = input::launcher_of_many()?;
        let (work, ask) = (stopper.work(), asking.ask_options());
        let run_frames = args.frames();
        // A selection that means nothing is refused here.
        asking.frames.selection()?;
        let devices = announce::opened(&asking.devices.device, asking.devices.dtype, printer)?;
        let found =
            model::find(&asking.checkpoint.model, asking.checkpoint.offline.then_some("--offline"), work, printer)?;
        let options = asking.engine_options(visual_cache(args, printer));
        let mut engine = Engine::open_on(devices, &found.source, options, work).map_err(surface)?;
        let frames = most_frames(&run_frames, jobs.clone().map(|job| &job.frames));
        let longest = jobs.flat_map(|job| &job.questions).max_by_key(|question| question.len());
        let questions = [longest.map_or("", String::as_str)];
        let foreseen = Foreseen { frames, questions: &questions, answers_together: args.concurrency };
        let placing = engine.place_foreseen(&foreseen, &ask).map_err(surface)?;
        if !placing.memory.fits() {
            return Err(surface(engine.refuse_foreseen(&placing, &foreseen, &ask)));
        }
        if let Some(source) = found.fetch(work, printer)? {
            engine.fetched(&source).map_err(surface)?;
        }
        let look = LookOptions {
            frames: run_frames,
            windows: args.windowing(),
            clip: ClipOptions {
                strict: asking.frames.strict,
                image_fps: asking.frames.image_fps,
                ..ClipOptions::default()
            },
            timeout: asking.frames.timeout(),
            item_timeout: args.item_timeout(),
            launcher,
        };
        let lanes = LaneOptions {
            ask,
            sampling: asking.sampling(),
            lanes: args.concurrency,
            item_timeout: args.item_timeout(),
        };
        Ok(Self { engine, placing, look, lanes, frames, scheme: asking.checkpoint.quantize.scheme() })
    }

    /// Of everything beside the inputs that the answers depend on.
    pub(crate) fn digest(&self) -> Result<String> {
        let checkpoint = self.engine.checkpoint();
        let identity = Identity::of(checkpoint).map_err(Error::from)?;
        let Self { placing, look, lanes, scheme, .. } = self;
        let devices = &placing.devices;
        Ok(RunParts { checkpoint, identity: &identity, scheme: *scheme, devices, look, lanes }.digest())
    }

    /// Loads the weights.
    pub(crate) fn load(&mut self, printer: &mut Printer) -> Result<()> {
        announce::failed_instructions(self.placing.devices.slots(), printer);
        let mut desk = Desk::new(Onlooker::new(printer), Trace::default(), Instant::now());
        let loaded = self.engine.load(&self.placing.devices, true, &mut desk.watch()).map_err(surface);
        desk.printer().end_progress();
        loaded
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn placing(&self) -> &Placing {
        &self.placing
    }

    pub(crate) fn devices(&self) -> &DeviceMap {
        &self.placing.devices
    }

    pub(crate) fn lanes(&self) -> &LaneOptions {
        &self.lanes
    }

    /// How processes that decode are started.
    pub(crate) fn launcher(&self) -> &Launcher {
        &self.look.launcher
    }

    /// Eyes for the threads that look ahead.
    pub(crate) fn looker<'w>(&'w self, interrupt: &'w Interrupt) -> Looker<'w> {
        let Self { engine, placing, look, lanes, .. } = self;
        Looker { engine, devices: &placing.devices, ask: &lanes.ask, options: look, interrupt }
    }

    /// How far the threads look ahead: the frames that wait stay within bounds.
    pub(crate) fn pace(&self, is_ordered: bool) -> Pace {
        let side = self.engine.checkpoint().vision.image_size;
        let clip_bytes = (self.frames * side * side * 3).max(1);
        let held = (AHEAD_BYTES / clip_bytes).max(1);
        let scouts = (2 * threads::count()).min(MOST_SCOUTS).min(held);
        let queue = QUEUE.min(held.saturating_sub(scouts));
        Pace { scouts, queue, jobs_in_flight: self.lanes.lanes + scouts + queue, is_ordered }
    }
}

/// The cache of visual tokens, as far as it is used. Clips are not hashed for one that holds nothing.
fn visual_cache(args: &WorkArgs, printer: &mut Printer) -> Option<VisualCache> {
    if args.cache == CacheUse::Off {
        return None;
    }
    let cache = cache::with_cap(args.cache_size.cap_bytes(), printer)?;
    match args.cache {
        CacheUse::Write => Some(cache),
        _ => Some(cache.for_reading()).filter(|cache| cache.usage().is_ok_and(|usage| usage.entries > 0)),
    }
}
