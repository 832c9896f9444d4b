//! Any bytes as what the process that decodes says to its parent (`isolated/protocol.rs`, `isolated/conversation.rs`).
//!
//! An input that starts with a line break is put into messages first, so that the search gets beyond their lengths: each
//! line is the JSON of one, after the number of pixel bytes that follow it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llava_video::video::fuzzing::replies;

/// More pixels than a frame of the pretended clip may have.
const MAX_PIXEL_BYTES: usize = 1 << 18;

fuzz_target!(|data: &[u8]| match data.strip_prefix(b"\n") {
    Some(lines) => replies(&lines.split(|&byte| byte == b'\n').flat_map(message).collect::<Vec<u8>>()),
    None => replies(data),
});

fn message(line: &[u8]) -> Vec<u8> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let pixels = std::str::from_utf8(&line[..digits]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (json, pixels) = (&line[digits..], vec![0; MAX_PIXEL_BYTES.min(pixels)]);
    let lengths = [json.len(), pixels.len()].map(|length| (length as u64).to_le_bytes());
    [&lengths[0][..], &lengths[1], json, &pixels].concat()
}
