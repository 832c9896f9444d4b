//! Frames from the groups of pictures that hold them, several groups at a time.

use super::group::{Target, groups};
use super::parallel;
use super::picker::Picker;
use super::reader::{Doubt, Reader};
use super::stream::IndexedStream;
use crate::video::codec::Codec;
use crate::video::error::{Error, ReadError};
use crate::video::frame::Frame;
use crate::video::view::View;

/// Pixels of the pictures that workers decode at a time. A worker on H.264 takes some 14 bytes for each, all its
/// reference pictures counted, which is 116 MB for frames of 3840x2160.
const WORKERS_PIXELS: u64 = 44 << 20;

/// How reading by groups ended, if not with all frames.
pub(super) enum Stop<E> {
    /// Another way must be taken.
    Doubt(Doubt),
    Error(ReadError<E>),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Stop<E> {
        Stop::Error(ReadError::Clip(error))
    }
}

/// Reads the frames at `targets` (ascending, distinct) from the groups that hold them, which are sought if the
/// container `seeks`, and otherwise come up as packets are passed over.
pub(super) fn read<E>(
    stream: &mut IndexedStream,
    targets: &[usize],
    seeks: bool,
    view: View,
    sink: &mut dyn FnMut(Frame) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let Some(groups) = groups(&stream.index, targets, !seeks, margin(stream)) else {
        return Err(Stop::Doubt(Doubt::Frame("the index is not in order")));
    };
    if groups.is_empty() {
        return Ok(());
    }
    if stream.is_spoiled || (!seeks && stream.position != Some(0)) {
        stream.reopen()?;
    }
    let info = &stream.info;
    let thread_count = stream.options.thread_count();
    let worker_count = worker_count(thread_count, groups.len(), (info.width, info.height));
    let size = stream.source.coded_size();
    let mut pickers = Vec::with_capacity(worker_count);
    for _ in 0..worker_count {
        // Threads within a decoder cost more than they bring while there is another group to decode.
        let decoder = stream.decoder(thread_count / worker_count)?;
        let picker = Picker::new(decoder, stream.converter(), &stream.index, stream.codec, size, stream.interlaced);
        pickers.push(picker.map_err(|fault| fault.at(&stream.path, "decoding"))?);
    }
    let base = stream.source.time_base();
    // Where the source stands afterwards is anybody's guess.
    let position = stream.position.take();
    let reader = Reader::new(&mut stream.source, &stream.index, stream.codec, position, seeks);
    let finish = |target: Target, time: Option<i64>, rgb: Vec<u8>| {
        let pts_secs = time.map(|time| base.secs(time));
        view.of(Frame { index: target.number, pts_secs, width: info.width, height: info.height, rgb })
    };
    match parallel::decode(&groups, reader, pickers, &finish, &stream.options.stop, sink) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Stop::Error(ReadError::Sink(error))),
        Err(doubt) => Err(Stop::Doubt(doubt)),
    }
}

/// Packets by which a decoder has handed out the frames before them, unreferenced ones being left out.
fn margin(stream: &IndexedStream) -> usize {
    match stream.codec {
        Codec::H264(_) => 2 * stream.source.reorder_frames() + 2,
        _ => 0,
    }
}

/// How many workers decode groups at a time.
fn worker_count(threads: usize, groups: usize, (width, height): (u32, u32)) -> usize {
    let affordable = WORKERS_PIXELS / (u64::from(width) * u64::from(height)).max(1);
    threads.min(groups).min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::worker_count;

    #[test]
    fn large_frames_get_fewer_workers() {
        assert_eq!(worker_count(8, 100, (1920, 1080)), 8);
        assert_eq!(worker_count(8, 3, (1920, 1080)), 3);
        assert_eq!(worker_count(8, 100, (3840, 2160)), 5);
        assert_eq!(worker_count(8, 100, (8192, 8192)), 1);
    }
}
