//! Large frames: how much memory reading them takes.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use llava_video::video::{Clip, ClipOptions, Frame, View};

use crate::support::mp4;
use crate::support::process::high_water_bytes;

/// Frames of 3840x2160 in the clip: 2.7 GB as RGB.
const FRAMES: usize = 110;

/// The environment variable that makes [`reader_of_large_frames`] do its part: the clip.
const CLIP: &str = "LLAVA_VIDEO_TEST_LARGE_CLIP";

#[test]
#[ignore = "started by `large_frames_need_less_than_a_gigabyte` in a process of its own, whose memory is measured"]
#[cfg(target_os = "linux")]
fn reader_of_large_frames() {
    let path = std::env::var_os(CLIP).unwrap();
    let status = || std::fs::read_to_string("/proc/self/status").unwrap();
    // As many workers as there may be.
    let options = ClipOptions { threads: 8, ..ClipOptions::default() };
    let all: Vec<usize> = (0..FRAMES).collect();
    for (view, side) in [(View::Resized(384), (384, 384)), (View::Native, (3840, 2160))] {
        let mut clip = Clip::open(Path::new(&path), &options).unwrap();
        assert_eq!(clip.info().frame_count, FRAMES);
        let count = Cell::new(0);
        let mut sink = |frame: Frame| {
            assert_eq!((frame.width, frame.height), side);
            count.set(count.get() + 1);
            // A sink that takes its time lets the workers run ahead, as far as they may.
            let mut seen = 0;
            while count.get() == 1 && seen != high_water_bytes(&status()).unwrap() {
                seen = high_water_bytes(&status()).unwrap();
                std::thread::sleep(Duration::from_millis(500));
            }
            Ok::<(), Infallible>(())
        };
        clip.read(&all, view, &mut sink).unwrap();
        assert_eq!(count.get(), FRAMES);
        let peak = high_water_bytes(&status()).unwrap();
        assert!(peak < 1_000_000_000, "{view:?}: {peak}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn large_frames_need_less_than_a_gigabyte() {
    let picture = image::RgbImage::from_fn(3840, 2160, |x, y| image::Rgb([(x / 15) as u8, (y / 9) as u8, 80]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.mov");
    let jpeg = jpeg.into_inner();
    mp4::write(&path, (3840, 2160), 30, &jpeg, &vec![0..jpeg.len(); FRAMES]);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "video::large_frames::reader_of_large_frames", "--ignored"]).env(CLIP, &path);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
