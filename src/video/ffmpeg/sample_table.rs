//! The container's own table of samples, as FFmpeg hands it out.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::source::Source;

/// One sample of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Offset of its first byte in the file.
    pub(crate) start: u64,
    /// Bytes of data.
    pub(crate) size: u32,
    /// Decoding time in stream units.
    pub(crate) decoding_time: i64,
    /// Decoding can start here, says the container.
    pub(crate) key: bool,
    /// Decoded, but not presented: cut away by an edit list.
    pub(crate) discard: bool,
}

impl Source {
    /// Number of samples FFmpeg knows of in the chosen stream.
    pub(crate) fn sample_count(&self) -> usize {
        // SAFETY: a valid stream of an open context.
        usize::try_from(unsafe { ffi::avformat_index_get_entries_count(self.stream()) }).unwrap_or(0)
    }

    /// The sample with a number from 0; `None` where there is none, or where it makes no sense.
    pub(crate) fn sample(&self, number: usize) -> Option<Sample> {
        let stream: *const ffi::AVStream = self.stream();
        let number = c_int::try_from(number).ok()?;
        // SAFETY: a valid stream of an open context, and an entry that is copied at once; FFmpeg takes a mutable
        // pointer and changes nothing through it.
        let raw = *unsafe { ffi::avformat_index_get_entry(stream.cast_mut(), number).as_ref() }?;
        Some(Sample {
            start: u64::try_from(raw.pos).ok()?,
            size: u32::try_from(raw.size()).ok()?,
            decoding_time: raw.timestamp,
            key: raw.flags() & ffi::AVINDEX_KEYFRAME != 0,
            discard: raw.flags() & ffi::AVINDEX_DISCARD_FRAME != 0,
        })
    }

    /// End of the last packet of the chosen stream that the table points to; 0 where there is no table. (AVI has one of
    /// the same kind.)
    pub(crate) fn indexed_end(&self) -> u64 {
        let samples = (0..self.sample_count()).filter_map(|number| self.sample(number));
        samples.map(|sample| sample.start.saturating_add(u64::from(sample.size))).max().unwrap_or(0)
    }
}
