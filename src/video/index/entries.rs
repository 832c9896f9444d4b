//! The packets of a clip in decoding order, and the order in which their frames are presented.

use std::path::Path;

use crate::video::codec::Codec;
use crate::video::codec::nal::HevcSequence;
use crate::video::error::Error;
use crate::video::ffmpeg::ffi::Packet;
use crate::video::ffmpeg::source::Source;
use crate::video::ffmpeg::time::span;

/// Where a clip's number of frames comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum CountSource {
    /// The container's own table of samples.
    Container,
    /// The packets of the whole file, counted.
    Packets,
    /// The frames of the whole file, decoded.
    Decoded,
    /// The pictures in a directory.
    Files,
}

impl CountSource {
    /// A short name for reports.
    pub fn name(self) -> &'static str {
        match self {
            CountSource::Container => "container index",
            CountSource::Packets => "packet scan",
            CountSource::Decoded => "decoded frames",
            CountSource::Files => "files",
        }
    }
}

/// One packet of the chosen stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Presentation time in stream units.
    pub(crate) pts: Option<i64>,
    /// Bytes of data.
    pub(crate) size: u32,
    /// Decoding can start here, says the container.
    pub(crate) key: bool,
    /// Decoded, but not presented: cut away by an edit list.
    pub(crate) discard: bool,
    /// Decoded for the sake of other frames only, says the packet itself.
    pub(crate) hidden: bool,
}

impl Entry {
    pub(crate) fn of(packet: &Packet, codec: Codec) -> Entry {
        Entry {
            pts: packet.pts(),
            size: u32::try_from(packet.data().len()).unwrap_or(u32::MAX),
            key: packet.is_key(),
            discard: packet.is_discard(),
            hidden: codec.is_hidden(packet.data()),
        }
    }

    pub(crate) fn is_presented(&self) -> bool {
        !self.discard && !self.hidden && !self.is_empty()
    }

    /// No bytes make no frame: some recorders mark so that one was dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0
    }
}

/// All packets of the chosen stream.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// In decoding order.
    pub(crate) entries: Vec<Entry>,
    /// Positions in `entries` of the presented frames, in the order of their time stamps; in decoding order where
    /// some have none.
    pub(crate) presented: Vec<u32>,
    /// Duration of the last presented frame in stream units, 0 where unknown.
    pub(crate) last_duration: i64,
    pub(crate) source: CountSource,
    /// What stopped the scan before the end of the file, in FFmpeg's words.
    pub(crate) fault: Option<String>,
    /// Packets that the demuxer knows to be incomplete.
    pub(crate) corrupt_count: usize,
    /// True where a packet brings new codec parameters.
    pub(crate) changes_parameters: bool,
    /// True where a keyframe makes the decoder drop frames before it, although they have packets.
    pub(crate) restarts: bool,
}

impl Index {
    pub(crate) fn new(entries: Vec<Entry>, last_duration: i64, source: CountSource) -> Index {
        let mut presented: Vec<u32> =
            (0u32..).zip(&entries).filter(|(_, entry)| entry.is_presented()).map(|(position, _)| position).collect();
        if presented.iter().all(|&position| entries[position as usize].pts.is_some()) {
            presented.sort_by_key(|&position| entries[position as usize].pts);
        }
        Index {
            entries,
            presented,
            last_duration,
            source,
            fault: None,
            corrupt_count: 0,
            changes_parameters: false,
            restarts: false,
        }
    }

    /// Reads every packet from where `source` stands to the end of the file.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the caller asks to stop; [`Error::Ffmpeg`] if there is no memory. What stops the scan
    /// otherwise is noted in the index.
    pub(crate) fn scan(source: &mut Source, path: &Path, codec: Codec) -> Result<Index, Error> {
        let mut packet = Packet::new().map_err(|fault| fault.at(path, "reading"))?;
        let interrupted = || Error::Interrupted { path: path.to_owned() };
        let mut entries = Vec::new();
        let mut last = (i64::MIN, 0);
        let (mut fault, mut corrupt_count, mut changes_parameters) = (None, 0, false);
        let mut sequence = HevcSequence::default();
        loop {
            if source.stopped() {
                return Err(interrupted());
            }
            match source.read(&mut packet) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    fault = Some(error.to_string());
                    break;
                }
            }
            let entry = Entry::of(&packet, codec);
            if let (Some(pts), true) = (entry.pts, entry.is_presented())
                && pts >= last.0
            {
                last = (pts, packet.duration());
            }
            entries.push(entry);
            corrupt_count += usize::from(packet.is_corrupt());
            changes_parameters |= packet.changes_parameters();
            if let Codec::Hevc(layout) = codec {
                sequence.push(layout.heads(packet.data()));
            }
        }
        if source.stopped() {
            return Err(interrupted());
        }
        let index = Index::new(entries, last.1, CountSource::Packets);
        Ok(Index { fault, corrupt_count, changes_parameters, restarts: sequence.restarts, ..index })
    }

    /// Adds a constant to all time stamps, so that the first packet's is `first_pts`; false if that is impossible.
    pub(crate) fn shift(&mut self, first_pts: i64) -> bool {
        let Some(had) = self.entries.first().and_then(|first| first.pts) else {
            return false;
        };
        let Some(constant) = first_pts.checked_sub(had) else {
            return false;
        };
        for entry in &mut self.entries {
            match entry.pts.and_then(|pts| pts.checked_add(constant)) {
                Some(pts) => entry.pts = Some(pts),
                None => return false,
            }
        }
        true
    }

    /// Time stamp of the first presented frame, in stream units.
    pub(crate) fn first_pts(&self) -> Option<i64> {
        self.entries.get(*self.presented.first()? as usize)?.pts
    }

    /// When each presented frame appears, in stream units, in order.
    pub(crate) fn stamps(&self) -> Vec<Option<i64>> {
        self.presented.iter().map(|&position| self.entries[position as usize].pts).collect()
    }

    /// From the first presented frame to the end of the last, in stream units: see [`span`].
    pub(crate) fn span(&self) -> Option<i64> {
        span(&self.stamps(), self.last_duration)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(pts: i64, key: bool) -> Entry {
        Entry { pts: Some(pts), size: 100, key, discard: false, hidden: false }
    }

    #[test]
    fn presentation_is_by_time_without_what_is_cut() {
        let mut entries: Vec<Entry> = [0, 3, 1, 2, 4].into_iter().map(|pts| entry(pts, pts == 0)).collect();
        entries[2].discard = true;
        let index = Index::new(entries.clone(), 1, CountSource::Packets);
        assert_eq!(index.presented, [0, 3, 1, 4]);
        assert_eq!(index.span(), Some(5));
        entries[1].pts = None;
        let index = Index::new(entries, 1, CountSource::Packets);
        assert_eq!((index.presented.as_slice(), index.span()), ([0, 1, 3, 4].as_slice(), None));
        let dropped = Entry { size: 0, ..entry(8, true) };
        assert_eq!(Index::new(vec![entry(7, true), dropped], 1, CountSource::Packets).presented, [0]);
        assert_eq!(Index::new(vec![entry(7, true)], 1, CountSource::Packets).span(), None);
    }
}
