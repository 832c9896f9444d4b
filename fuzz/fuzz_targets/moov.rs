//! Any bytes as the index of an MP4 file (`mp4.rs`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llava_video::video::fuzzing::moov(data));
