//! Any bytes as a packet of H.264 or HEVC (`nal.rs`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llava_video::video::fuzzing::packet(data));
