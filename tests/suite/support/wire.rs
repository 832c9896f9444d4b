//! Messages between the program and the process that decodes, written and read by hand.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

/// A message: a length of its JSON, a length of its pixels, both.
pub(crate) fn message(json: &Value, pixels: &[u8]) -> Vec<u8> {
    let json = json.to_string();
    let lengths = [json.len(), pixels.len()].map(|length| (length as u64).to_le_bytes());
    [&lengths[0][..], &lengths[1], json.as_bytes(), pixels].concat()
}

/// The request that opens a clip.
pub(crate) fn open(clip: &Path) -> Vec<u8> {
    // A path as serde writes an `OsString`.
    let path = json!({ "Unix": clip.to_str().unwrap().as_bytes() });
    let options = json!({
        "path": path, "name": path, "strict": false, "linear": false, "threads": 1, "max_pixels": 1 << 26,
        "image_fps": 1.0, "cpu_secs": 60,
    });
    message(&json!({ "Open": options }), &[])
}

/// The next message.
pub(crate) fn read_message(input: &mut impl Read) -> (Value, Vec<u8>) {
    let mut number = || {
        let mut bytes = [0; 8];
        input.read_exact(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) as usize
    };
    let (mut json, mut pixels) = (vec![0; number()], vec![0; number()]);
    input.read_exact(&mut json).unwrap();
    input.read_exact(&mut pixels).unwrap();
    (serde_json::from_slice(&json).unwrap(), pixels)
}
