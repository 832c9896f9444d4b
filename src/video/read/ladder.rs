//! The ways to frames, from the shortest that can be verified to a decode of everything: which one is taken, and when
//! it is given up for a surer one.

use std::cell::Cell;

use super::partial::{self, Stop};
use super::reader::Doubt;
use super::stream::IndexedStream;
use super::whole;
use crate::video::codec::Codec;
use crate::video::error::{Error, ReadError};
use crate::video::frame::Frame;
use crate::video::index::entries::CountSource;
use crate::video::index::trust;
use crate::video::info::Access;
use crate::video::view::View;

/// How frames are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By seeking to the groups of pictures that hold them.
    Seek,
    /// By passing over the packets of the groups that hold none.
    Skip,
    /// By decoding everything, and why.
    Linear(&'static str),
}

impl Way {
    /// The shortest way to the frames of `stream` that can be verified.
    pub(crate) fn shortest(stream: &IndexedStream) -> Way {
        if !stream.codec.starts_midway() {
            return Way::Linear("this codec is only decoded from the start");
        }
        if stream.options.linear {
            return Way::Linear("asked for");
        }
        if stream.is_cut {
            return Way::Linear("the file is damaged");
        }
        let seeks = ["mov", "matroska"].iter().any(|name| stream.info.container.starts_with(name));
        if matches!(stream.codec, Codec::H264(_)) && stream.interlaced && !seeks {
            return Way::Linear("fields may come in packets of their own");
        }
        match trust::objection(&stream.index, stream.source.reorder_frames()) {
            Some(reason) => Way::Linear(reason),
            None if seeks => Way::Seek,
            None => Way::Skip,
        }
    }

    /// The way that is taken now, for reports.
    pub(crate) fn access(self) -> Access {
        match self {
            Way::Seek => Access::Seek,
            Way::Skip => Access::Skip,
            Way::Linear(reason) => Access::Linear(reason.into()),
        }
    }

    /// Reads the frames at `targets` (ascending, distinct, each one that the clip has) as [`crate::video::Clip::read`]
    /// says.
    pub(crate) fn read<E>(
        &mut self,
        stream: &mut IndexedStream,
        targets: &[usize],
        view: View,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let frame_count = stream.info.frame_count;
        let delivered = Cell::new(false);
        let mut sink = |frame: Frame| {
            delivered.set(true);
            sink(frame)
        };
        loop {
            let seeks = match self {
                Way::Seek => true,
                Way::Skip => false,
                Way::Linear(_) => break,
            };
            match partial::read(stream, targets, seeks, view, &mut sink) {
                Ok(()) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Doubt(doubt)) => self.step_down(stream, doubt)?,
            }
            if delivered.get() || stream.info.frame_count != frame_count {
                return Err(ReadError::Clip(Error::Recounted { frame_count: stream.info.frame_count }));
            }
        }
        if whole::read(stream, targets, view, &mut sink)? {
            return Ok(());
        }
        if delivered.get() {
            return Err(ReadError::Clip(Error::Recounted { frame_count }));
        }
        whole::read(stream, targets, view, &mut sink)?;
        Ok(())
    }

    /// Takes the next surer way to frames.
    fn step_down(&mut self, stream: &mut IndexedStream, doubt: Doubt) -> Result<(), Error> {
        *self = match doubt {
            Doubt::Stopped => {
                stream.is_spoiled = true;
                return Err(stream.interrupted());
            }
            Doubt::Fault(fault) => return Err(fault.at(&stream.path, "decoding")),
            Doubt::Frame(reason) => Way::Linear(reason),
            Doubt::Damage(reason) => {
                stream.single_thread = true;
                Way::Linear(reason)
            }
            Doubt::Seek(_) if stream.info.count_source == CountSource::Container => {
                stream.index_packets()?;
                Way::shortest(stream)
            }
            Doubt::Seek(reason) => match self {
                Way::Seek => Way::Skip,
                _ => Way::Linear(reason),
            },
        };
        Ok(())
    }
}
