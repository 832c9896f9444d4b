//! The frames of an open clip: by groups of pictures while everything checks out, otherwise by decoding everything.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::damage;
use super::group::{Target, groups};
use super::linear::{self, Outcome};
use super::parallel;
use super::picker::Picker;
use super::reader::{Doubt, Reader};
use crate::video::clip::Clip;
use crate::video::codec::Codec;
use crate::video::error::{Error, Fault, ReadError};
use crate::video::ffmpeg::convert::Converter;
use crate::video::ffmpeg::ffi::{Picture, was_stopped};
use crate::video::ffmpeg::time::TimeBase;
use crate::video::frame::Frame;
use crate::video::index::entries::CountSource;
use crate::video::info::{Access, ClipInfo};
use crate::video::sample::distinct;
use crate::video::view::View;

/// Pixels of the pictures that workers decode at a time. A worker on H.264 takes some 14 bytes for each, all its
/// reference pictures counted, which is 116 MB for frames of 3840x2160.
const WORKERS_PIXELS: u64 = 44 << 20;

/// How many workers decode groups at a time.
fn worker_count(threads: usize, groups: usize, (width, height): (u32, u32)) -> usize {
    let affordable = WORKERS_PIXELS / (u64::from(width) * u64::from(height)).max(1);
    threads.min(groups).min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1)
}

/// How reading by groups ended, if not with all frames.
enum Stop<E> {
    /// Another way must be taken.
    Doubt(Doubt),
    Error(ReadError<E>),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Stop<E> {
        Stop::Error(ReadError::Clip(error))
    }
}

impl Clip {
    /// Reads the frames at `indices` as `view` says, and gives each distinct one to `sink` once, in ascending order.
    ///
    /// `keep_going` is asked often, always on this thread; false ends the call with [`Error::Interrupted`].
    ///
    /// # Errors
    /// [`ReadError::Sink`] as soon as `sink` fails. [`Error::Recounted`] if decoding shows another number of frames
    /// than [`Clip::info`] said, or that frames given to `sink` may be others than asked for: drop them, plan again
    /// from the new `info`, and read again. [`Error::NoFrames`] if nothing can be decoded.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let targets = distinct(indices);
        if let Some(&index) = targets.last()
            && index >= self.info.frame_count
        {
            return Err(ReadError::Clip(Error::IndexOutOfRange {
                path: self.path.clone(),
                index,
                frame_count: self.info.frame_count,
            }));
        }
        let frame_count = self.info.frame_count;
        let stop = Arc::clone(&self.options.stop);
        let keep_going = || keep_going() && !was_stopped(&stop);
        let delivered = Cell::new(false);
        let mut sink = |frame: Frame| {
            delivered.set(true);
            sink(frame)
        };
        while !matches!(self.info.access, Access::Linear(_)) {
            match self.read_groups(&targets, view, &keep_going, &mut sink) {
                Ok(()) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Doubt(doubt)) => self.step_back(doubt)?,
            }
            if delivered.get() || self.info.frame_count != frame_count {
                return Err(ReadError::Clip(Error::Recounted { frame_count: self.info.frame_count }));
            }
        }
        if self.read_linear(&targets, view, &keep_going, &mut sink)? {
            return Ok(());
        }
        if delivered.get() {
            return Err(ReadError::Clip(Error::Recounted { frame_count }));
        }
        self.read_linear(&targets, view, &keep_going, &mut sink)?;
        Ok(())
    }

    /// Takes the next surer way to frames.
    fn step_back(&mut self, doubt: Doubt) -> Result<(), Error> {
        match doubt {
            Doubt::Stopped => Err(Error::Interrupted { path: self.path.clone() }),
            Doubt::Fault(fault) => Err(fault.at(&self.path, "decoding")),
            Doubt::Frame(reason) => {
                self.info.access = Access::Linear(reason.into());
                Ok(())
            }
            Doubt::Damage(reason) => {
                self.single_thread = true;
                self.info.access = Access::Linear(reason.into());
                Ok(())
            }
            Doubt::Seek(_) if self.info.count_source == CountSource::Container => self.index_packets(),
            Doubt::Seek(reason) => {
                self.info.access = match self.info.access {
                    Access::Seek => Access::Skip,
                    _ => Access::Linear(reason.into()),
                };
                Ok(())
            }
        }
    }

    /// Packets by which a decoder has handed out the frames before them, unreferenced ones being left out.
    fn margin(&self) -> usize {
        match self.codec {
            Codec::H264(_) => 2 * self.source.reorder_frames() + 2,
            _ => 0,
        }
    }

    /// Reads the frames from the groups of pictures that hold them.
    fn read_groups<E>(
        &mut self,
        targets: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let seeks = self.info.access == Access::Seek;
        let Some(groups) = groups(&self.index, targets, !seeks, self.margin()) else {
            return Err(Stop::Doubt(Doubt::Frame("the index is not in order")));
        };
        if groups.is_empty() {
            return Ok(());
        }
        if !seeks && self.position != Some(0) {
            self.reopen()?;
        }
        let thread_count = self.options.thread_count();
        let worker_count = worker_count(thread_count, groups.len(), (self.info.width, self.info.height));
        let size = self.source.coded_size();
        let mut pickers = Vec::with_capacity(worker_count);
        for _ in 0..worker_count {
            // Threads within a decoder cost more than they bring while there is another group to decode.
            let decoder = self.decoder(thread_count / worker_count)?;
            let converter = Converter::new(self.info.orientation, (self.info.width, self.info.height));
            let picker = Picker::new(decoder, converter, &self.index, self.codec, size, self.interlaced);
            pickers.push(picker.map_err(|fault| fault.at(&self.path, "decoding"))?);
        }
        let base = self.source.time_base();
        // Where the source stands afterwards is anybody's guess.
        let position = self.position.take();
        let reader = Reader::new(&mut self.source, &self.index, self.codec, position, seeks);
        let info = &self.info;
        let finish = |target: Target, time: Option<i64>, rgb: Vec<u8>| {
            let pts_secs = time.map(|time| base.secs(time));
            view.of(Frame { index: target.number, pts_secs, width: info.width, height: info.height, rgb })
        };
        match parallel::decode(&groups, reader, pickers, &finish, keep_going, sink) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Stop::Error(ReadError::Sink(error))),
            Err(doubt) => Err(Stop::Doubt(doubt)),
        }
    }

    /// Reads the frames by decoding everything; false where that must be done again, with a single thread.
    fn read_linear<E>(
        &mut self,
        targets: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<bool, ReadError<E>> {
        if self.position != Some(0) {
            self.reopen()?;
        }
        self.position = None;
        let thread_count = if self.single_thread { 1 } else { self.options.thread_count() };
        let mut decoder = self.decoder(thread_count)?;
        let mut converter = Converter::new(self.info.orientation, (self.info.width, self.info.height));
        let mut wanted = targets.iter().copied().peekable();
        // A count that is known to be right needs no decoding past the last target.
        let until_end = self.info.count_source != CountSource::Decoded;
        let base = self.source.time_base();
        let (path, info) = (&self.path, &self.info);
        let go_on = || match keep_going() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(Some(ReadError::Clip(Error::Interrupted { path: path.clone() }))),
        };
        let mut visit = |number: usize, picture: &Picture| {
            if wanted.next_if_eq(&number).is_some() {
                match to_frame(number, picture, &mut converter, base, info).map(|frame| sink(view.of(frame))) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return ControlFlow::Break(Some(ReadError::Sink(error))),
                    Err(fault) => {
                        let error = fault.at(path, "conversion to RGB");
                        return ControlFlow::Break(Some(ReadError::Clip(error)));
                    }
                }
            }
            match wanted.peek().is_none() && !until_end {
                true => ControlFlow::Break(None),
                false => ControlFlow::Continue(()),
            }
        };
        let outcome = linear::decode(&mut self.source, &mut decoder, thread_count > 1, &go_on, &mut visit);
        match outcome.map_err(|fault| fault.at(&self.path, "decoding"))? {
            ControlFlow::Continue(outcome) if outcome.gave_up => {
                self.single_thread = true;
                Ok(false)
            }
            ControlFlow::Continue(outcome) => {
                self.settle(&outcome)?;
                Ok(true)
            }
            ControlFlow::Break(None) => Ok(true),
            ControlFlow::Break(Some(error)) => Err(error),
        }
    }

    /// Takes over what a decode of the whole clip found.
    fn settle(&mut self, outcome: &Outcome) -> Result<(), Error> {
        if was_stopped(&self.options.stop) {
            return Err(Error::Interrupted { path: self.path.clone() });
        }
        if outcome.frame_count() == 0 {
            return Err(Error::NoFrames { path: self.path.clone() });
        }
        if self.info.count_source != CountSource::Decoded {
            let report = damage::report(&self.index, self.promised, outcome);
            if !report.is_empty() && self.options.strict {
                self.damaged(report.join("; "))?;
            }
            self.warnings.extend(report);
            self.info.lost_frames = damage::lost_count(&self.index, self.promised, outcome);
        }
        let had = std::mem::replace(&mut self.info.frame_count, outcome.frame_count());
        self.info.count_source = CountSource::Decoded;
        if had == outcome.frame_count() {
            return Ok(());
        }
        self.choose_rate(outcome.span());
        Err(Error::Recounted { frame_count: outcome.frame_count() })
    }
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
