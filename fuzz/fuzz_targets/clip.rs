//! Any bytes as a clip: demux, probe, sample and read, in this process, without the child that shields the program.
//!
//! FFmpeg itself is not instrumented, so coverage guides the search through our own code only.

#![no_main]

use std::convert::Infallible;
use std::ffi::c_char;
use std::io::Write;

use libfuzzer_sys::fuzz_target;
use llava_video::video::{Clip, ClipOptions, Error, Frame, ReadError, SamplePolicy, View, plan};

/// What the leak check overlooks: the list of destructors of a thread that is ending while the check looks. A scope waits
/// for what its threads do, not for their end.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    c"leak:__cxa_thread_atexit_impl".as_ptr()
}

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a temporary file");
    file.write_all(data).expect("room for it");
    let options = ClipOptions { max_pixels: 1 << 22, ..ClipOptions::default() };
    let Ok(mut clip) = Clip::open(file.path(), &options) else { return };
    // Each recount takes a surer way; there are four.
    for _ in 0..4 {
        let info = clip.info().clone();
        assert!(info.frame_count > 0 && info.avg_fps > 0.0 && info.avg_fps.is_finite());
        let plan = plan(info.frame_count, info.avg_fps, &SamplePolicy { max_frames: 4, fps: None });
        assert_eq!(plan.indices.len(), 4);
        let mut sink = |frame: Frame| {
            assert_eq!(frame.rgb.len(), 3 * frame.width as usize * frame.height as usize);
            assert!(plan.indices.contains(&frame.index));
            Ok::<(), Infallible>(())
        };
        match clip.read(&plan.indices, View::Native, &mut sink) {
            Err(ReadError::Clip(Error::Recounted { .. })) => {}
            _ => return,
        }
    }
});
