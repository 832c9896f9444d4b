//! Frames from a decode of the whole clip, which also tells how many there are and what is lost.

use std::ops::ControlFlow;

use super::damage;
use super::linear::{self, Decoded, Outcome};
use super::stream::IndexedStream;
use crate::video::error::{Error, Fault, ReadError};
use crate::video::ffmpeg::convert::Converter;
use crate::video::ffmpeg::ffi::Picture;
use crate::video::ffmpeg::time::TimeBase;
use crate::video::frame::Frame;
use crate::video::index::entries::CountSource;
use crate::video::info::ClipInfo;
use crate::video::view::View;

/// Reads the frames at `targets` (ascending, distinct) by decoding everything; false where that must be done again,
/// with a single thread.
pub(super) fn read<E>(
    stream: &mut IndexedStream,
    targets: &[usize],
    view: View,
    sink: &mut dyn FnMut(Frame) -> Result<(), E>,
) -> Result<bool, ReadError<E>> {
    if stream.position != Some(0) {
        stream.reopen()?;
    }
    stream.position = None;
    let thread_count = if stream.single_thread { 1 } else { stream.options.thread_count() };
    let mut decoder = stream.decoder(thread_count)?;
    let mut converter = stream.converter();
    let mut wanted = targets.iter().copied().peekable();
    // A count that is known to be right needs no decoding past the last target.
    let until_end = stream.info.count_source != CountSource::Decoded;
    let base = stream.source.time_base();
    let (path, info) = (&stream.path, &stream.info);
    let mut visit = |number: usize, picture: &Picture| {
        if wanted.next_if_eq(&number).is_some() {
            match to_frame(number, picture, &mut converter, base, info).map(|frame| sink(view.of(frame))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return ControlFlow::Break(Err(ReadError::Sink(error))),
                Err(fault) => return ControlFlow::Break(Err(fault.at(path, "conversion to RGB").into())),
            }
        }
        match wanted.peek().is_none() && !until_end {
            true => ControlFlow::Break(Ok(true)),
            false => ControlFlow::Continue(()),
        }
    };
    let decoded = linear::decode(&mut stream.source, &mut decoder, thread_count > 1, &mut visit);
    match decoded.map_err(|fault| fault.at(&stream.path, "decoding"))? {
        Decoded::Whole(outcome) => {
            settle(stream, &outcome)?;
            Ok(true)
        }
        Decoded::Damaged => {
            stream.single_thread = true;
            Ok(false)
        }
        Decoded::Part(result) => result,
        Decoded::Stopped => Err(stream.interrupted().into()),
    }
}

/// Takes over what a decode of the whole clip found.
fn settle(stream: &mut IndexedStream, outcome: &Outcome) -> Result<(), Error> {
    let frame_count = outcome.frame_count();
    if frame_count == 0 {
        return Err(Error::NoFrames { path: stream.path.clone() });
    }
    if stream.info.count_source != CountSource::Decoded {
        let report = damage::report(&stream.index, stream.promised, outcome);
        if !report.is_empty() && stream.options.strict {
            stream.damaged(report.join("; "))?;
        }
        stream.warnings.extend(report);
        stream.info.lost_frames = damage::lost_count(&stream.index, stream.promised, outcome);
    }
    let had = std::mem::replace(&mut stream.info.frame_count, frame_count);
    stream.info.count_source = CountSource::Decoded;
    if had == frame_count {
        return Ok(());
    }
    stream.choose_rate(outcome.span());
    Err(Error::Recounted { frame_count })
}

/// A decoded picture as the frame with number `index`.
fn to_frame(
    index: usize,
    picture: &Picture,
    converter: &mut Converter,
    base: TimeBase,
    info: &ClipInfo,
) -> Result<Frame, Fault> {
    Ok(Frame {
        index,
        pts_secs: picture.best_time().map(|stamp| base.secs(stamp)),
        width: info.width,
        height: info.height,
        rgb: converter.rgb(picture)?,
    })
}
