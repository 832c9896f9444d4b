//! Packets by their position in the index, each one checked against it.

use crate::video::codec::Codec;
use crate::video::error::Fault;
use crate::video::ffmpeg::ffi::Packet;
use crate::video::ffmpeg::source::Source;
use crate::video::index::entries::{Entry, Index};

/// Packets that are rather read over than sought past.
const MAX_READ_OVER: usize = 16;

/// Why reading or decoding parts of a clip was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The container does not find its own packets again.
    Seek(&'static str),
    /// A frame does not come out as the index says.
    Frame(&'static str),
    /// Data are damaged, of which several threads would make something else each time.
    Damage(&'static str),
    /// The caller asked to stop.
    Stopped,
    /// FFmpeg failed in a way that has nothing to do with the clip.
    Fault(Fault),
}

/// Reads packets of an indexed clip, forwards from any keyframe.
pub(crate) struct Reader<'a> {
    source: &'a mut Source,
    index: &'a Index,
    codec: Codec,
    /// Position of the packet that comes next; `None` where that is unknown.
    next: Option<usize>,
    /// The packet that comes next, if a seek has found it already.
    found: Option<Packet>,
    /// Whether the container may be asked to seek.
    seeks: bool,
}

impl<'a> Reader<'a> {
    /// A reader of `source`, whose next packet is the one at `next`.
    pub(crate) fn new(
        source: &'a mut Source,
        index: &'a Index,
        codec: Codec,
        next: Option<usize>,
        seeks: bool,
    ) -> Reader<'a> {
        Reader { source, index, codec, next, found: None, seeks }
    }

    /// Goes to the keyframe at `position`, so that [`Reader::read`] returns it next.
    pub(crate) fn go_to(&mut self, position: usize) -> Result<(), Doubt> {
        let near = |next: usize| next <= position && (!self.seeks || position - next <= MAX_READ_OVER);
        if !self.next.is_some_and(near) {
            if !self.seeks {
                return Err(Doubt::Seek("packets are wanted out of order"));
            }
            self.seek(position)?;
        }
        while self.next.is_some_and(|next| next < position) {
            self.read()?;
        }
        Ok(())
    }

    /// Seeks to the packet at `position`, or to one before it.
    fn seek(&mut self, position: usize) -> Result<(), Doubt> {
        (self.next, self.found) = (None, None);
        let index = self.index;
        let pts = index.entries.get(position).and_then(|entry| entry.pts);
        let pts = pts.ok_or(Doubt::Seek("a keyframe has no timestamp"))?;
        self.source.seek(pts).map_err(|_| Doubt::Seek("the container cannot seek"))?;
        loop {
            let packet = self.take()?;
            let entry = Entry::of(&packet, self.codec);
            if entry.hidden {
                continue;
            }
            let time_of = |&place: &u32| index.entries[place as usize].pts;
            let Ok(place) = index.presented.binary_search_by_key(&entry.pts, time_of) else {
                return Err(Doubt::Seek("a seek ends at a packet that is not in the index"));
            };
            let place = index.presented[place] as usize;
            if place > position {
                return Err(Doubt::Seek("a seek ends too late"));
            }
            self.check(&entry, place)?;
            (self.next, self.found) = (Some(place), Some(packet));
            return Ok(());
        }
    }

    /// Reads the next packet.
    pub(crate) fn read(&mut self) -> Result<Packet, Doubt> {
        let next = self.next.ok_or(Doubt::Seek("the place in the file is unknown"))?;
        let packet = match self.found.take() {
            Some(packet) => packet,
            None => {
                let packet = self.take()?;
                self.check(&Entry::of(&packet, self.codec), next)?;
                packet
            }
        };
        self.next = Some(next + 1);
        Ok(packet)
    }

    /// The next packet the container gives.
    fn take(&mut self) -> Result<Packet, Doubt> {
        if self.source.stopped() {
            return Err(Doubt::Stopped);
        }
        let mut packet = Packet::new().map_err(Doubt::Fault)?;
        match self.source.read(&mut packet) {
            Ok(true) if packet.changes_parameters() => Err(Doubt::Frame("codec parameters change within the file")),
            Ok(true) if packet.is_corrupt() || packet.is_discard() => Err(Doubt::Damage("a packet is damaged")),
            Ok(true) => Ok(packet),
            Ok(false) => Err(Doubt::Seek("the file ends before its index does")),
            Err(_) => Err(Doubt::Seek("a packet cannot be read")),
        }
    }

    fn check(&self, entry: &Entry, position: usize) -> Result<(), Doubt> {
        match self.index.entries.get(position) {
            Some(want) if (want.pts, want.size) == (entry.pts, entry.size) => Ok(()),
            _ => Err(Doubt::Seek("a packet is not the one in the index")),
        }
    }
}
