//! Reading and resizing frames: `cargo bench --bench video`.
//!
//! Against other decoders, on long clips: `scripts/compare-decoders.py`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use divan::Bencher;
use llava_video::video::isolated::{IsolatedClip, Launcher, View};
use llava_video::video::{Clip, ClipOptions, Frame, ReadError, SamplePolicy, plan};
use llava_video::vision::preprocess;

fn main() {
    divan::main();
}

/// 132 frames of 1280x720.
fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clips/real/sk_bigbuckbunny.mp4")
}

fn done(outcome: Result<(), ReadError<Infallible>>) {
    if let Err(ReadError::Clip(error)) = outcome {
        panic!("{error}");
    }
}

/// Opens the clip and reads frames of their own size in this process.
#[divan::bench(args = [8, 32, 110])]
fn read(frames: usize) {
    let mut clip = Clip::open(&clip(), &ClipOptions::default()).expect("the clip opens");
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, &SamplePolicy { max_frames: frames, fps: None });
    done(clip.read(&plan.indices, View::Native, &mut |frame| {
        divan::black_box(frame);
        Ok(())
    }));
}

/// The same in a child process, resized there, as `ask` does it.
#[divan::bench(args = [8, 32, 110])]
fn read_resized_in_child(frames: usize) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_llava-video"));
    let launcher = Launcher::new(program, ["decode-worker"]);
    let mut clip = IsolatedClip::open(&clip(), &ClipOptions::default(), None, &launcher, &|| true).expect("it opens");
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, &SamplePolicy { max_frames: frames, fps: None });
    done(clip.read(&plan.indices, View::Resized(384), &|| true, &mut |frame: Frame| {
        divan::black_box(frame);
        Ok(())
    }));
}

/// One frame to the size that the vision tower takes.
#[divan::bench(args = [(480, 270), (1280, 720), (1920, 1080)])]
fn resize(bencher: Bencher, (width, height): (usize, usize)) {
    let rgb: Vec<u8> = (0..3 * width * height).map(|i| ((i * 2_654_435_761) >> 8) as u8).collect();
    bencher.bench(|| preprocess::resize(&rgb, width, height, 384));
}
