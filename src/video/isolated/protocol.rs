//! Messages between parent and child: a length, a JSON object, and for frames the pixels.

use std::ffi::OsString;
use std::io::{Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::info::ClipInfo;
use super::super::view::View;

/// Longest JSON part of a message, in bytes; a plan of a million frames fits.
const MAX_JSON_BYTES: usize = 16 << 20;

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Always the first. Messages call the clip `name`.
    Open {
        path: OsString,
        name: OsString,
        strict: bool,
        linear: bool,
        threads: usize,
        max_pixels: u64,
        image_fps: f64,
        cpu_secs: u64,
    },
    /// How many frames appear before each of these times.
    FramesBefore { secs: Vec<f64> },
    /// Frames at ascending, distinct indices.
    Read { indices: Vec<usize>, view: View, cpu_secs: u64 },
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The clip is open; `unconfined` lists what could not be given up.
    Opened { info: ClipInfo, unconfined: Vec<String> },
    /// As asked, in order.
    FramesBefore { counts: Vec<usize> },
    /// One sentence for the user.
    Warning { message: String },
    /// A frame, its pixels following.
    Frame { index: usize, pts_secs: Option<f64>, width: u32, height: u32 },
    /// All frames were sent.
    Done,
    /// The frames sent are void; the facts are new.
    Recounted { info: ClipInfo },
    /// The request failed, in words for the user.
    Failed { message: String, hint: Option<String> },
}

/// Writes a message.
pub(super) fn send(out: &mut impl Write, message: &impl Serialize, bytes: &[u8]) -> std::io::Result<()> {
    let json = serde_json::to_vec(message)?;
    out.write_all(&(json.len() as u64).to_le_bytes())?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(&json)?;
    out.write_all(bytes)?;
    out.flush()
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// The other side is gone.
    Ended,
    /// What came is no message.
    Nonsense,
}

/// Reads a message and at most `max_bytes` of pixels.
pub(super) fn receive<T: DeserializeOwned>(input: &mut impl Read, max_bytes: u64) -> Result<(T, Vec<u8>), NoMessage> {
    let mut number = || {
        let mut bytes = [0; 8];
        input.read_exact(&mut bytes).map_err(|_| NoMessage::Ended)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (json_len, bytes_len) = (number()?, number()?);
    if json_len > MAX_JSON_BYTES as u64 || bytes_len > max_bytes {
        return Err(NoMessage::Nonsense);
    }
    // Memory that is announced and not filled is never touched.
    let mut part = |len: u64| {
        let mut bytes = Vec::with_capacity(len as usize);
        match input.by_ref().take(len).read_to_end(&mut bytes) {
            Ok(count) if count as u64 == len => Ok(bytes),
            _ => Err(NoMessage::Ended),
        }
    };
    let json = part(json_len)?;
    let message = serde_json::from_slice(&json).map_err(|_| NoMessage::Nonsense)?;
    Ok((message, part(bytes_len)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_bytes() {
        let mut wire = Vec::new();
        let frame = Reply::Frame { index: 7, pts_secs: Some(0.1), width: 1, height: 1 };
        send(&mut wire, &frame, &[1, 2, 3]).unwrap();
        let (reply, bytes) = receive::<Reply>(&mut wire.as_slice(), 3).unwrap();
        assert!(matches!(reply, Reply::Frame { index: 7, width: 1, .. }));
        assert_eq!(bytes, [1, 2, 3]);
        assert!(receive::<Reply>(&mut wire.as_slice(), 2).is_err());
        assert!(receive::<Reply>(&mut &wire[..wire.len() - 1], 3).is_err());
    }

    proptest! {
        #[test]
        fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(receive::<Reply>(&mut noise.as_slice(), 100).is_err());
        }
    }
}
