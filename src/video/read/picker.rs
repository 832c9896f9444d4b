//! Decoding one group of packets for the wanted frames in it, with every step checked.

use std::sync::atomic::{AtomicBool, Ordering};

use super::group::{Group, Target};
use super::reader::Doubt;
use crate::video::codec::Codec;
use crate::video::codec::nal::hevc_temporal_layer;
use crate::video::error::Fault;
use crate::video::ffmpeg::convert::Converter;
use crate::video::ffmpeg::decoder::{Decoder, Received};
use crate::video::ffmpeg::ffi::{Packet, Picture};
use crate::video::index::entries::Index;

/// Decodes groups of one clip on one thread.
pub(crate) struct Picker<'a> {
    decoder: Decoder,
    converter: Converter,
    index: &'a Index,
    codec: Codec,
    /// Stored size of the stream's frames in pixels; others are a doubt.
    size: (i32, i32),
    /// Frames may be woven from fields, so that each packet must be seen to make one.
    interlaced: bool,
    picture: Picture,
    progress: Progress,
}

/// How far into its group a picker is.
#[derive(Default)]
struct Progress {
    /// Position of the next packet.
    position: usize,
    /// Number of targets done.
    done: usize,
    /// Time stamp of the last frame that came out, the group's own only.
    last_pts: Option<i64>,
    /// The group's own frames that came out.
    shown: usize,
    /// Frames that must come out if none is left out: packets with time stamps from the first on.
    due: usize,
}

/// Receives a finished picture: the target, and its pixels.
pub(crate) type Deliver<'a> = dyn FnMut(Target, Option<i64>, Vec<u8>) -> Result<(), Doubt> + 'a;

impl<'a> Picker<'a> {
    pub(crate) fn new(
        decoder: Decoder,
        converter: Converter,
        index: &'a Index,
        codec: Codec,
        size: (i32, i32),
        interlaced: bool,
    ) -> Result<Picker<'a>, Fault> {
        Ok(Picker {
            decoder,
            converter,
            index,
            codec,
            size,
            interlaced,
            picture: Picture::new()?,
            progress: Progress::default(),
        })
    }

    /// Starts with a group, whose packets come next.
    pub(crate) fn start(&mut self, group: &Group) {
        self.progress = Progress { position: group.first, ..Progress::default() };
    }

    /// Decodes the next packets of the group.
    pub(crate) fn decode(
        &mut self,
        group: &Group,
        packets: &[Packet],
        abort: &AtomicBool,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), Doubt> {
        let skips = self.may_skip(group, packets);
        for packet in packets {
            if abort.load(Ordering::Relaxed) {
                return Err(Doubt::Stopped);
            }
            let position = self.progress.position;
            if position == group.first && !self.codec.starts_here(packet.data()) {
                return Err(Doubt::Frame("decoding cannot start at a keyframe"));
            }
            let entry = self.index.entries[position];
            let own = entry.is_presented() && entry.pts >= Some(group.start_pts);
            self.progress.due += usize::from(own);
            self.progress.position += 1;
            let wanted = group.targets.iter().any(|target| target.position == position);
            self.decoder.skip_unreferenced(skips && !wanted);
            // Frames shown before the keyframe refer to what was not decoded; what becomes of them is no matter.
            if self.decoder.send(Some(packet)).is_err() && own {
                return Err(Doubt::Damage("a packet does not decode"));
            }
            self.receive(group, deliver)?;
        }
        Ok(())
    }

    /// Takes what the decoder holds back at the end of a group, and readies it for another.
    pub(crate) fn finish(&mut self, group: &Group, deliver: &mut Deliver<'_>) -> Result<(), Doubt> {
        if self.decoder.send(None).is_err() {
            return Err(Doubt::Damage("the decoder cannot be flushed"));
        }
        self.receive(group, deliver)?;
        self.decoder.flush();
        if self.progress.done < group.targets.len() {
            return Err(Doubt::Frame("a frame does not come out"));
        }
        if self.interlaced && self.progress.shown != self.progress.due {
            return Err(Doubt::Frame("packets and frames do not match one to one"));
        }
        Ok(())
    }

    /// Whether unreferenced pictures can be left out without a trace.
    fn may_skip(&self, group: &Group, packets: &[Packet]) -> bool {
        if self.interlaced {
            return false;
        }
        match self.codec {
            Codec::H264(_) => true,
            // "Unreferenced" is said of a picture's own temporal layer, so it holds without layers only; a group that
            // is not here as a whole may bring some yet.
            Codec::Hevc(layout) => {
                packets.len() == group.last - group.first + 1
                    && packets.iter().all(|packet| hevc_temporal_layer(layout, packet.data()) == 0)
            }
            _ => false,
        }
    }

    fn receive(&mut self, group: &Group, deliver: &mut Deliver<'_>) -> Result<(), Doubt> {
        loop {
            match self.decoder.receive(&mut self.picture) {
                Ok(Received::Picture) => self.accept(group, deliver)?,
                Ok(Received::Hungry | Received::End) => return Ok(()),
                Err(_) => return Err(Doubt::Damage("a packet does not decode")),
            }
        }
    }

    /// Checks a picture that came out, and delivers it if it is wanted.
    fn accept(&mut self, group: &Group, deliver: &mut Deliver<'_>) -> Result<(), Doubt> {
        let pts = self.picture.pts().ok_or(Doubt::Frame("a frame has no timestamp"))?;
        if pts < group.start_pts {
            return Ok(());
        }
        let progress = &mut self.progress;
        match progress.last_pts {
            None if pts != group.start_pts => return Err(Doubt::Frame("a keyframe does not come out")),
            Some(last) if pts <= last => return Err(Doubt::Frame("frames come out of order")),
            _ => progress.last_pts = Some(pts),
        }
        progress.shown += 1;
        if self.picture.is_damaged() {
            return Err(Doubt::Damage("a frame is damaged"));
        }
        if self.picture.is_interlaced() && !self.interlaced {
            return Err(Doubt::Frame("a frame is interlaced where none should be"));
        }
        if (self.picture.width(), self.picture.height()) != self.size {
            return Err(Doubt::Frame("the frame size changes"));
        }
        let Some(&target) = group.targets.get(progress.done) else {
            return Ok(());
        };
        if pts > target.pts {
            return Err(Doubt::Frame("a frame does not come out"));
        }
        if pts == target.pts {
            progress.done += 1;
            let rgb = self.converter.rgb(&self.picture).map_err(Doubt::Fault)?;
            deliver(target, self.picture.best_time(), rgb)?;
        }
        Ok(())
    }
}
