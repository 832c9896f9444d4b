//! Decoding from the first packet to the last: slow, and by definition right.

use std::ops::ControlFlow;

use crate::video::error::Fault;
use crate::video::ffmpeg::decoder::{Decoder, Received};
use crate::video::ffmpeg::ffi::{Packet, Picture};
use crate::video::ffmpeg::source::Source;
use crate::video::ffmpeg::time::span;

/// Errors in a row after which a decoder that is being emptied is left alone.
const MAX_DRAIN_ERRORS: usize = 256;

/// What a whole decode came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// When each presented frame appears, in stream units, in order.
    pub(crate) stamps: Vec<Option<i64>>,
    /// Duration of the last packet with a time stamp of its own, in stream units; 0 where unknown.
    pub(crate) last_duration: i64,
    /// Packets the decoder refused, wholly or in part.
    pub(crate) error_count: usize,
    /// Frames the decoder had to patch.
    pub(crate) damaged_count: usize,
    /// What stopped the demuxer before the end of the file.
    pub(crate) fault: Option<Fault>,
}

impl Outcome {
    /// Number of frames presented.
    pub(crate) fn frame_count(&self) -> usize {
        self.stamps.len()
    }

    /// From the first frame to the end of the last, in stream units: see [`span`].
    pub(crate) fn span(&self) -> Option<i64> {
        span(&self.stamps, self.last_duration)
    }
}

/// How far a decode went.
pub(crate) enum Decoded<B> {
    /// To the end of the file, or of what can be read of it.
    Whole(Outcome),
    /// Until `visit` ended it.
    Part(B),
    /// Until the first sign of damage.
    Damaged,
    /// Until the caller raised the stop flag.
    Stopped,
}

/// Decodes what `source` has left, and shows each presented frame with its number to `visit`, which can end it.
///
/// Errors of single packets are counted, as FFmpeg's command line does, and decoding goes on; unless `give_up` asks to
/// end at the first sign of damage. (Frame threads make different pictures of damaged data each time, so that such a
/// clip needs a single thread.)
pub(crate) fn decode<B>(
    source: &mut Source,
    decoder: &mut Decoder,
    give_up: bool,
    visit: &mut dyn FnMut(usize, &Picture) -> ControlFlow<B>,
) -> Result<Decoded<B>, Fault> {
    let mut packet = Packet::new()?;
    let mut picture = Picture::new()?;
    let mut outcome = Outcome::default();
    let mut open = true;
    while open {
        if source.stopped() {
            return Ok(Decoded::Stopped);
        }
        open = match source.read(&mut packet) {
            Ok(more) => more,
            Err(fault) => {
                outcome.fault = Some(fault);
                false
            }
        };
        if open && packet.duration() > 0 {
            outcome.last_duration = packet.duration();
        }
        if decoder.send(open.then_some(&packet)).is_err() {
            outcome.error_count += 1;
        }
        let mut errors_in_a_row = 0;
        loop {
            match decoder.receive(&mut picture) {
                Ok(Received::Picture) => errors_in_a_row = 0,
                Ok(Received::Hungry | Received::End) => break,
                Err(_) => {
                    outcome.error_count += 1;
                    errors_in_a_row += 1;
                    if errors_in_a_row == MAX_DRAIN_ERRORS {
                        break;
                    }
                    continue;
                }
            }
            outcome.damaged_count += usize::from(picture.is_damaged());
            if give_up && outcome.damaged_count + outcome.error_count > 0 {
                return Ok(Decoded::Damaged);
            }
            if let ControlFlow::Break(reason) = visit(outcome.frame_count(), &picture) {
                return Ok(Decoded::Part(reason));
            }
            outcome.stamps.push(picture.best_time());
        }
    }
    // A read that was stopped looks like the end of the file.
    if source.stopped() {
        return Ok(Decoded::Stopped);
    }
    Ok(if give_up && outcome.error_count > 0 { Decoded::Damaged } else { Decoded::Whole(outcome) })
}
