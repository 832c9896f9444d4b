//! Damaged files: an answer or a clear error, never a crash of the parent, a panic or a hang.

use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use llava_video::video::isolated::{IsolatedClip, Launcher, View};
use llava_video::video::{ClipOptions, Error, ReadError, SamplePolicy, plan};

use crate::support::{Random, clip, launchers, llava_video};

/// Clips of as many containers and codecs as there are.
const CLIPS: [&str; 10] = [
    "plain_h264.mp4",
    "hevc_10bit.mp4",
    "av1.webm",
    "vp9_alpha.webm",
    "ts_mpeg2.ts",
    "mjpeg.avi",
    "flv_h264.flv",
    "anim.gif",
    "odd_33x17_ffv1.mkv",
    "no_duration.h264",
];

/// Damaged variants of each clip; half of them are cut short, half have bytes changed.
const VARIANTS: usize = 50;

/// No variant may take longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

fn damaged(whole: &[u8], number: usize) -> Vec<u8> {
    let mut random = Random::new(number as u64 + 1);
    let mut bytes = whole.to_vec();
    if number.is_multiple_of(2) {
        bytes.truncate(1 + random.below(whole.len() - 1));
    } else {
        // Headers are short, so that half of the changes go there.
        let reach = if random.below(2) == 0 { whole.len().min(2048) } else { whole.len() };
        for _ in 0..1 + random.below(16) {
            let at = random.below(reach);
            bytes[at] = random.below(256) as u8;
        }
    }
    bytes
}

/// Reads 8 frames; `Ok` with their number, or the error.
fn read(path: &Path, launcher: &Launcher) -> Result<usize, Error> {
    let mut clip = IsolatedClip::open(path, &ClipOptions::default(), None, launcher, &|| true)?;
    // Each recount takes a surer way; there are four.
    for _ in 0..4 {
        let policy = SamplePolicy { max_frames: 8, fps: None };
        let plan = plan(clip.info().frame_count, clip.info().avg_fps, &policy);
        let mut frames = 0;
        let mut sink = |_| {
            frames += 1;
            Ok::<(), Infallible>(())
        };
        match clip.read(&plan.indices, View::Native, &|| true, &mut sink) {
            Ok(()) => return Ok(frames),
            Err(ReadError::Clip(Error::Recounted { .. })) => {}
            Err(ReadError::Clip(error)) => return Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }
    panic!("{}: the number of frames changes at every reading", path.display());
}

#[test]
fn five_hundred_damaged_files_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    let readable = AtomicUsize::new(0);
    let launchers = launchers();
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(name) = CLIPS.get(number / VARIANTS) else { return };
        let whole = std::fs::read(clip(name)).unwrap();
        let path = dir.path().join(format!("{number}-{name}"));
        std::fs::write(&path, damaged(&whole, number)).unwrap();
        let started = Instant::now();
        let outcome = read(&path, &launchers[number / 2 % launchers.len()]);
        let took = started.elapsed();
        assert!(took < PATIENCE, "{name} variant {number} took {took:?}: {outcome:?}");
        match outcome {
            Ok(frames) => {
                assert!(frames > 0, "{name} variant {number}: no frames and no error");
                readable.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("panicked") && !text.is_empty(), "{name} variant {number}: {text}");
                let crashed = matches!(error, Error::Child { .. } | Error::TimedOut { .. });
                assert!(!crashed, "{name} variant {number}: {text}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    assert!(launchers.iter().all(|launcher| launcher.take_warnings().is_empty()));
    let readable = readable.into_inner();
    assert!(
        readable > CLIPS.len() * VARIANTS / 4,
        "only {readable} were readable: the damage is too heavy to test much"
    );
}

#[test]
fn strict_refuses_what_is_otherwise_used_with_a_warning() {
    let path = clip("trunc_half_faststart.mp4");
    let path = path.to_str().unwrap();
    let lenient = llava_video(["frames", path, "--frames", "4"]);
    assert_eq!(lenient.stdout_of_success().lines().count(), 4);
    assert!(lenient.stderr.starts_with("warning: "), "{}", lenient.stderr);
    llava_video(["frames", path, "--frames", "4", "--strict"]).fails_with(&["trunc_half_faststart.mp4", "damaged"]);
    assert_eq!(llava_video(["--quiet", "frames", path, "--frames", "4"]).stderr, "");
}
