//! The same frames at every reading, whatever else the machine does. Takes long, and runs as `make test-long` only.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use llava_video::video::isolated::IsolatedClip;
use llava_video::video::{Clip, ClipInfo, ClipOptions, Error, Frame, FramePlan, ReadError, SamplePolicy, View, plan};

use crate::support::{fixtures, plain, sha256_hex};

/// Readings of each clip in each way.
const READINGS: usize = 20;

/// Decoder threads, more than most machines have cores.
const THREADS: usize = 8;

/// What a reading gives: index, time stamp in whole microseconds and digest of each frame, and the warnings. (The
/// child's time stamps come as text, which may change their last bit.)
type Given = (Vec<(usize, Option<i64>, String)>, Vec<String>);

/// A way to read a clip.
#[derive(Debug, Clone, Copy)]
struct Way {
    takes_all: bool,
    in_child: bool,
}

/// An open clip, in this process or in a child.
enum Opened {
    Here(Box<Clip>),
    InChild(Box<IsolatedClip>),
}

impl Opened {
    fn open(path: &Path, in_child: bool) -> Result<Self, Error> {
        let options = ClipOptions { threads: THREADS, ..ClipOptions::default() };
        if !in_child {
            return Clip::open(path, &options).map(|clip| Self::Here(Box::new(clip)));
        }
        let clip = IsolatedClip::open(path, &options, None, &plain(), &|| true)?;
        Ok(Self::InChild(Box::new(clip)))
    }

    fn info(&self) -> &ClipInfo {
        match self {
            Self::Here(clip) => clip.info(),
            Self::InChild(clip) => clip.info(),
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Here(clip) => clip.take_warnings(),
            Self::InChild(clip) => clip.take_warnings(),
        }
    }

    fn read(
        &mut self,
        plan: &FramePlan,
        sink: &mut dyn FnMut(Frame) -> Result<(), Infallible>,
    ) -> Result<(), ReadError<Infallible>> {
        match self {
            Self::Here(clip) => clip.read(&plan.indices, View::Native, sink),
            Self::InChild(clip) => clip.read(&plan.indices, View::Native, &|| true, sink),
        }
    }
}

fn read(path: &Path, way: Way) -> Result<Given, Error> {
    let mut clip = Opened::open(path, way.in_child)?;
    // Each recount takes a surer way; there are four.
    for _ in 0..4 {
        let max_frames = if way.takes_all { clip.info().frame_count } else { 8 };
        let plan = plan(clip.info().frame_count, clip.info().avg_fps, &SamplePolicy { max_frames, fps: None });
        let mut frames = Vec::new();
        let mut sink = |frame: Frame| {
            let pts_us = frame.pts_secs.map(|secs| (secs * 1e6).round() as i64);
            frames.push((frame.index, pts_us, sha256_hex(&frame.rgb)));
            Ok(())
        };
        match clip.read(&plan, &mut sink) {
            Ok(()) => return Ok((frames, clip.take_warnings())),
            Err(ReadError::Clip(Error::Recounted { .. })) => {}
            Err(ReadError::Clip(error)) => return Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }
    panic!("{}: counted four times", path.display());
}

/// All clips, and some of them cut short: decoders leave most to chance in a last picture.
fn clips(dir: &Path) -> Vec<PathBuf> {
    let mut clips = Vec::new();
    for folder in ["clips/nasty", "clips/odd", "clips/real", "golden/video"] {
        let entries = std::fs::read_dir(fixtures().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let is_clip = |path: &PathBuf| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            path.is_file() && !ending.is_some_and(|ending| ["json", "safetensors"].contains(&ending))
        };
        clips.extend(entries.filter(is_clip));
    }
    clips.sort();
    let whole = clips.clone();
    let cut = ["bframes_opengop.ts", "ts_mpeg2.ts", "no_duration.h264", "flv_h264.flv", "theora.ogv", "mjpeg.avi"];
    for path in whole {
        let name = path.file_name().unwrap().to_str().unwrap();
        if cut.contains(&name) {
            let bytes = std::fs::read(&path).unwrap();
            for part in [bytes.len() / 2, bytes.len() * 7 / 10] {
                clips.push(dir.join(format!("{part}-{name}")));
                std::fs::write(dir.join(format!("{part}-{name}")), &bytes[..part]).unwrap();
            }
        }
    }
    clips
}

#[test]
#[ignore = "takes a quarter of an hour: `make test-long`"]
fn every_clip_reads_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let clips = clips(dir.path());
    assert!(clips.len() > 80, "only {} clips", clips.len());
    let (next, done, readable) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let faults = std::sync::Mutex::new(Vec::new());
    let work = || {
        while let Some(path) = clips.get(next.fetch_add(1, Ordering::Relaxed)) {
            for takes_all in [false, true] {
                let reading = |in_child| -> Result<Given, String> {
                    read(path, Way { takes_all, in_child }).map_err(|error| error.to_string())
                };
                // An error may be worded otherwise by the child.
                let first = [reading(false), reading(true)];
                readable.fetch_add(usize::from(first[0].is_ok()), Ordering::Relaxed);
                if first.iter().all(|reading| reading.is_ok()) && first[0] != first[1] {
                    faults.lock().unwrap().push(format!("{}: the child differs", path.display()));
                }
                for number in 0..READINGS {
                    for in_child in [false, true] {
                        let way = Way { takes_all, in_child };
                        let again = reading(in_child);
                        if again != first[usize::from(in_child)] {
                            let name = path.display();
                            faults.lock().unwrap().push(format!("{name}, {way:?}, reading {number}"));
                        }
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        // Other work on the machine.
        for _ in 0..2 {
            scope.spawn(|| {
                let mut number = 1u64;
                while !done.load(Ordering::Relaxed) {
                    number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            });
        }
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let outcomes: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        done.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    let (faults, readable) = (faults.into_inner().unwrap(), readable.into_inner());
    assert!(readable > clips.len(), "only {readable} of {} first readings gave frames", 2 * clips.len());
    assert!(faults.is_empty(), "{} readings differ:\n{}", faults.len(), faults.join("\n"));
}
