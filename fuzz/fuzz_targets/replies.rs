//! Any bytes as what the process that decodes says to its parent (`isolated/protocol.rs`, `isolated/conversation.rs`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llava_video::video::fuzzing::replies(data));
