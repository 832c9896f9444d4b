//! The index of an MP4 or QuickTime file, without reading its packets.
//!
//! FFmpeg hands out each sample's place, size and decoding time. What is missing there, the offset from decoding to
//! presentation time, is read from the file's own `ctts` box (ISO/IEC 14496-12, 8.6.1.3). The result is only
//! believed where it is simple: no fragments, no edits that change the list, nothing beyond the end of the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::entries::{CountSource, Entry, Index};
use super::extent::boxes;
use crate::video::codec::Codec;
use crate::video::codec::nal::{Head, HevcSequence, Layout};
use crate::video::ffmpeg::sample_table::Sample;
use crate::video::ffmpeg::source::Source;

/// The most bytes of a `moov` box that are read (an hour of video has under one million).
const MAX_MOOV_BYTES: u64 = 256 << 20;

/// Units of one packet that are looked at (a picture has at most 600 slices).
const MAX_UNITS: usize = 1024;

/// The index of the chosen stream of a freshly opened source, or `None` where packets must be read to know.
///
/// Time stamps lack one constant, which the first packet tells: see [`Index::shift`].
pub(crate) fn container_index(path: &Path, source: &Source) -> Option<Index> {
    if !source.container().starts_with("mov") {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let offsets = offsets(&mut file, source.stream_id(), source.sample_count())?;
    let mut entries = Vec::with_capacity(offsets.len());
    let mut decoding_times = Vec::with_capacity(offsets.len());
    let mut places = Vec::with_capacity(offsets.len());
    for (number, offset) in offsets.into_iter().enumerate() {
        let Sample { start, size, decoding_time, key, discard } = source.sample(number)?;
        if discard || start.saturating_add(u64::from(size)) > length {
            return None;
        }
        decoding_times.push(decoding_time);
        places.push(start);
        let pts = Some(decoding_time.checked_add(i64::from(offset))?);
        entries.push(Entry { pts, size, key, discard: false, hidden: false });
    }
    let last = (0..entries.len()).max_by_key(|&position| entries[position].pts)?;
    // The last sample lasts until the end of the stream, as FFmpeg reckons it for packets, too.
    let end = decoding_times.get(last + 1).copied().unwrap_or(source.stream_duration());
    let last_duration = end.checked_sub(decoding_times[last]).filter(|&duration| duration > 0);
    let mut index = Index::new(entries, last_duration.unwrap_or(0), CountSource::Container);
    if let Codec::Hevc(layout) = source.codec() {
        index.restarts = restarts(&mut file, layout, &index, &places)?;
    }
    Some(index)
}

/// Whether an HEVC keyframe makes the decoder drop frames before it: see [`HevcSequence`]. Only the heads of units are
/// read, of the keyframes and of the packets right before them.
fn restarts(file: &mut File, layout: Layout, index: &Index, places: &[u64]) -> Option<bool> {
    let entries = &index.entries;
    // Without reordering nothing is held back.
    if entries.is_sorted_by_key(|entry| entry.pts) {
        return Some(false);
    }
    let Layout::Lengths(length_bytes) = layout else {
        return None;
    };
    let mut sequence = HevcSequence::default();
    for (position, (entry, &start)) in entries.iter().zip(places).enumerate() {
        if !entry.key && !entries.get(position + 1).is_some_and(|next| next.key) {
            continue;
        }
        let end = start + u64::from(entry.size);
        let mut heads = Vec::new();
        let mut place = start;
        while place + length_bytes as u64 <= end {
            file.seek(SeekFrom::Start(place)).ok()?;
            let mut length = [0; 8];
            file.read_exact(&mut length[8 - length_bytes..]).ok()?;
            let length = u64::from_be_bytes(length);
            let mut head: Head = [0; 3];
            file.read_exact(&mut head[..length.min(3) as usize]).ok()?;
            heads.push(head);
            if heads.len() > MAX_UNITS {
                return None;
            }
            place = place.saturating_add(length_bytes as u64).saturating_add(length);
        }
        sequence.push(heads.into_iter());
    }
    Some(sequence.restarts)
}

/// The composition offset of each of `count` samples of a track, if the track is one of a plain file.
fn offsets(file: &mut File, track: i32, count: usize) -> Option<Vec<i32>> {
    let boxes = boxes(file).ok()?;
    if boxes.iter().any(|top| matches!(&top.kind, b"moof" | b"mfra" | b"sidx" | b"styp")) {
        return None;
    }
    let moov = boxes.iter().find(|top| &top.kind == b"moov")?;
    let size = moov.end.checked_sub(moov.start).filter(|&size| size <= MAX_MOOV_BYTES)?;
    if moov.end > file.metadata().ok()?.len() {
        return None;
    }
    file.seek(SeekFrom::Start(moov.start)).ok()?;
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact(&mut bytes).ok()?;
    track_offsets(&bytes, track, count)
}

/// As [`offsets`], from the contents of a `moov` box.
pub(crate) fn track_offsets(moov: &[u8], track: i32, count: usize) -> Option<Vec<i32>> {
    if child(moov, b"mvex").is_some() {
        return None;
    }
    let trak = children(moov).filter(|(kind, _)| kind == b"trak").map(|(_, trak)| trak).find(|trak| {
        // Version 1 has two longer times before the track's number.
        let number = child(trak, b"tkhd").and_then(|tkhd| four(tkhd, if *tkhd.first()? == 1 { 20 } else { 12 }));
        number.is_some_and(|number| i32::from_be_bytes(number) == track)
    })?;
    let table = [b"mdia", b"minf", b"stbl"].into_iter().try_fold(trak, |inner, kind| child(inner, kind))?;
    // More than one description means that the codec changes on the way.
    if number(child(table, b"stsd")?, 4)? != 1 {
        return None;
    }
    let sizes = child(table, b"stsz").or_else(|| child(table, b"stz2"))?;
    if count == 0 || number(sizes, 8)? as usize != count {
        return None;
    }
    let Some(ctts) = child(table, b"ctts") else {
        return Some(vec![0; count]);
    };
    let runs = number(ctts, 4)? as usize;
    let mut offsets = Vec::new();
    for run in ctts.get(8..)?.chunks_exact(8).take(runs) {
        let length = number(run, 0)? as usize;
        if offsets.len().checked_add(length)? > count {
            return None;
        }
        // Version 0 says unsigned; every reader takes it as signed, FFmpeg included.
        offsets.resize(offsets.len() + length, i32::from_be_bytes(four(run, 4)?));
    }
    (offsets.len() == count).then_some(offsets)
}

/// The boxes within a box, as far as they make sense.
fn children(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = number(bytes, 0)? as usize;
        let kind = four(bytes, 4)?;
        let (inner, rest) = bytes.split_at_checked(size)?;
        let inner = inner.get(8..)?;
        bytes = rest;
        Some((kind, inner))
    })
}

fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(bytes).find(|(found, _)| found == kind).map(|(_, inner)| inner)
}

fn four(bytes: &[u8], place: usize) -> Option<[u8; 4]> {
    bytes.get(place..)?.first_chunk().copied()
}

fn number(bytes: &[u8], place: usize) -> Option<u32> {
    four(bytes, place).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], inner: &[u8]) -> Vec<u8> {
        [&(inner.len() as u32 + 8).to_be_bytes(), kind.as_slice(), inner].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn moov(ctts: &[u32]) -> Vec<u8> {
        let tables = [
            boxed(b"stsd", &words(&[0, 1])),
            boxed(b"stsz", &words(&[0, 0, 4, 9, 9, 9, 9])),
            boxed(b"ctts", &words(ctts)),
        ];
        let stbl = boxed(b"mdia", &boxed(b"minf", &boxed(b"stbl", &tables.concat())));
        let tkhd = boxed(b"tkhd", &words(&[0, 0, 0, 7]));
        boxed(b"trak", &[tkhd, stbl].concat())
    }

    #[test]
    fn offsets_are_spelled_out() {
        let moov = moov(&[0, 2, 3, 5, 1, u32::MAX]);
        assert_eq!(track_offsets(&moov, 7, 4), Some(vec![5, 5, 5, -1]));
        assert_eq!(track_offsets(&moov, 8, 4), None);
        assert_eq!(track_offsets(&moov, 7, 5), None);
        for end in 0..moov.len() {
            assert_eq!(track_offsets(&moov[..end], 7, 4), None);
        }
    }

    #[test]
    fn tables_that_lie_are_refused() {
        assert_eq!(track_offsets(&moov(&[0, 1, u32::MAX, 5]), 7, 4), None);
        assert_eq!(track_offsets(&moov(&[0, 1, 3, 5]), 7, 4), None);
        assert_eq!(track_offsets(&moov(&[0, u32::MAX, 4, 5]), 7, 4), Some(vec![5; 4]));
    }
}
