//! Is all there of what a container says it holds? Read from a few header bytes, without FFmpeg, which is silent about
//! it. What follows a whole clip, and no index points to, is nobody's loss.
//!
//! Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and RFC 9559 (EBML sizes, Segment), Microsoft's RIFF description.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Boxes looked at in one file; real files have a handful before the first fragment.
const MAX_BOXES: usize = 4096;

/// A file that is shorter than its container says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bytes there are.
    pub(crate) have_bytes: u64,
    /// Bytes there should be, as far as is known.
    pub(crate) want_bytes: u64,
}

/// Whether an MPEG transport stream ends within a packet of the stream with the number `pid`, whose last picture is
/// then known in part only. Source: ISO/IEC 13818-1, 2.4.3.2 (packets of 188 bytes; recorders put 4 bytes before each,
/// and broadcasters 16 behind).
pub(crate) fn ends_within_packet(path: &Path, pid: i32) -> bool {
    let ends = || -> Result<bool> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut head = Vec::new();
        file.by_ref().take(1024).read_to_end(&mut head)?;
        let fits =
            |&(start, step): &(usize, usize)| (0..4).all(|number| head.get(start + number * step) == Some(&0x47));
        let Some((start, step)) = [(0, 188), (4, 192), (0, 204)].into_iter().find(fits) else {
            return Ok(false);
        };
        let begun = length.saturating_sub(start as u64) % step as u64;
        // The part that every layout has.
        if !(4..188).contains(&begun) {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(length - begun))?;
        let [sync, high, low, _] = read_four(&mut file)?;
        Ok(sync == 0x47 && i32::from(u16::from_be_bytes([high & 0x1f, low])) == pid)
    };
    // A file that cannot be read is no news here.
    ends().unwrap_or(false)
}

/// Compares the length of a file with what its container states; `None` where nothing is missing or nothing is stated.
///
/// `indexed_end` is the end of the last packet in the container's own index, 0 where it has none.
pub(crate) fn cut(path: &Path, container: &str, indexed_end: u64) -> Option<Cut> {
    let mut file = File::open(path).ok()?;
    let have_bytes = file.metadata().ok()?.len();
    let stated_end = match container.split(',').next()? {
        "mov" => mp4_end(&boxes(&mut file).ok()?, indexed_end > have_bytes),
        "matroska" => matroska_end(&mut file).ok()?,
        "avi" => avi_end(&mut file).ok()?,
        _ => return None,
    };
    let want_bytes = stated_end.unwrap_or(0).max(indexed_end);
    (want_bytes > have_bytes).then_some(Cut { have_bytes, want_bytes })
}

/// End of the last box that matters: the index itself, or data that it points into. (What a fragment's index points to
/// is known once all of it was read, so that its data always matters.)
fn mp4_end(boxes: &[Mp4Box], is_data_missing: bool) -> Option<u64> {
    let is_fragmented = boxes.iter().any(|top| &top.kind == b"moof");
    let matters = |top: &&Mp4Box| match &top.kind {
        b"moov" | b"moof" => true,
        b"mdat" => is_fragmented || is_data_missing,
        _ => false,
    };
    boxes.iter().rfind(matters).map(|last| last.end)
}

/// A box of an MP4 or QuickTime file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mp4Box {
    pub(crate) kind: [u8; 4],
    /// Offset of its first byte after the header.
    pub(crate) start: u64,
    /// Offset of the byte after its last; beyond the end of the file if that is cut short.
    pub(crate) end: u64,
}

/// The boxes on the top level, as far as they make sense.
pub(crate) fn boxes(file: &mut File) -> Result<Vec<Mp4Box>> {
    let length = file.metadata()?.len();
    let mut boxes = Vec::new();
    let mut place: u64 = 0;
    while boxes.len() < MAX_BOXES && place.saturating_add(8) <= length {
        file.seek(SeekFrom::Start(place))?;
        let [size, kind] = [read_four(file)?, read_four(file)?];
        // A tail of zeros is padding.
        if size == [0; 4] && kind == [0; 4] {
            break;
        }
        let (header, size) = match u32::from_be_bytes(size) {
            0 => (8, length - place),
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                (16, u64::from_be_bytes(long))
            }
            size => (8, u64::from(size)),
        };
        // What has no name of a box is no box, but something appended to the file.
        if size < header || !kind.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | 0xa9)) {
            break;
        }
        let end = place.saturating_add(size);
        boxes.push(Mp4Box { kind, start: place + header, end });
        place = end;
    }
    Ok(boxes)
}

/// End of a Matroska file's segment, if it is stated (live streams do not).
fn matroska_end(file: &mut File) -> Result<Option<u64>> {
    const HEADER: u64 = 0x1a45_dfa3;
    const SEGMENT: u64 = 0x1853_8067;
    file.seek(SeekFrom::Start(0))?;
    for want in [HEADER, SEGMENT] {
        let (id, _) = read_variable(file, false)?;
        let (size, unknown) = read_variable(file, true)?;
        if id != want || unknown {
            return Ok(None);
        }
        let start = file.stream_position()?;
        let Some(end) = start.checked_add(size) else {
            return Ok(None);
        };
        if want == SEGMENT {
            return Ok(Some(end));
        }
        file.seek(SeekFrom::Start(end))?;
    }
    Ok(None)
}

/// A number of EBML: its length is told by the leading zeros of its first byte. With `size`, the marker bit is taken
/// off, and all ones mean "unknown".
fn read_variable(file: &mut File, size: bool) -> Result<(u64, bool)> {
    let mut first = [0];
    file.read_exact(&mut first)?;
    let more = first[0].leading_zeros() as usize;
    let mut value = if size { u64::from(first[0]) & (0x7f >> more.min(7)) } else { u64::from(first[0]) };
    let mut rest = [0; 8];
    let rest = &mut rest[..more.min(7)];
    file.read_exact(rest)?;
    for &byte in rest.iter() {
        value = value << 8 | u64::from(byte);
    }
    let all_ones = (1u64 << (7 * (more.min(7) + 1))) - 1;
    Ok((value, size && value == all_ones))
}

/// End of the last list of frames (`movi`) in an AVI file, if its size is stated. A file over a gigabyte may have
/// several, each in a chunk of its own on the top level.
fn avi_end(file: &mut File) -> Result<Option<u64>> {
    let length = file.metadata()?.len();
    let (mut end, mut place) = (None, 0);
    for _ in 0..MAX_BOXES {
        if place + 12 > length {
            break;
        }
        file.seek(SeekFrom::Start(place))?;
        let [name, size, form] = [read_four(file)?, read_four(file)?, read_four(file)?];
        let size = u32::from_le_bytes(size);
        // Chunks have even lengths; sizes that were never filled in say nothing.
        let next = match size {
            0 | u32::MAX => return Ok(end),
            size => place + 8 + u64::from(size) + u64::from(size % 2),
        };
        place = match (&name, &form) {
            (b"RIFF", b"AVI " | b"AVIX") => place + 12,
            (b"LIST", b"movi") => {
                end = Some(place + 8 + u64::from(size));
                next
            }
            (b"LIST" | b"idx1" | b"JUNK", _) => next,
            _ => break,
        };
    }
    Ok(end)
}

fn read_four(file: &mut File) -> Result<[u8; 4]> {
    let mut four = [0; 4];
    file.read_exact(&mut four)?;
    Ok(four)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clips/nasty").join(name)
    }

    #[test]
    fn whole_files_are_whole() {
        for name in ["plain_h264.mp4", "fragmented.mp4", "editlist_cut1.5.mp4"] {
            assert_eq!(cut(&clip(name), "mov,mp4", 0), None, "{name}");
        }
        for name in ["vp9.webm", "vfr.mkv", "no_duration_live.webm", "tiny_2x2.mkv"] {
            assert_eq!(cut(&clip(name), "matroska,webm", 0), None, "{name}");
        }
        assert_eq!(cut(&clip("mjpeg.avi"), "avi", 0), None);
    }

    #[test]
    fn cut_files_are_found() {
        let name = "trunc_half_faststart.mp4";
        assert_eq!(cut(&clip(name), "mov,mp4", 0), None, "no index points beyond the end");
        let found = cut(&clip(name), "mov,mp4", 50_000);
        assert_eq!(found, Some(Cut { have_bytes: 35_308, want_bytes: 70_616 }));
        assert!(cut(&clip("trunc_half.mkv"), "matroska,webm", 0).is_some());
        let whole = std::fs::read(clip("mjpeg.avi")).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &whole[..whole.len() / 2]).unwrap();
        assert!(cut(file.path(), "avi", 0).is_some());
        let whole = std::fs::read(clip("fragmented.mp4")).unwrap();
        std::fs::write(file.path(), &whole[..whole.len() / 2]).unwrap();
        assert!(cut(file.path(), "mov,mp4", 0).is_some());
    }

    #[test]
    fn transport_streams_end_between_packets() {
        let whole = std::fs::read(clip("bframes_opengop.ts")).unwrap();
        let video = whole.chunks(188).rposition(|packet| packet[1] & 0x1f == 1 && packet[2] == 0).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let ends_within = |bytes: &[u8], pid| {
            std::fs::write(file.path(), bytes).unwrap();
            ends_within_packet(file.path(), pid)
        };
        assert!(!ends_within(&whole, 0x100));
        assert!(!ends_within(&whole[..188 * video], 0x100));
        for part in [4, 50, 187] {
            assert!(ends_within(&whole[..188 * video + part], 0x100), "{part}");
            assert!(!ends_within(&whole[..188 * video + part], 0x101), "another stream's");
        }
        assert!(!ends_within(&[&whole, b"GGGG: text".as_slice()].concat(), 0x100));
        let stamped: Vec<u8> = whole.chunks(188).flat_map(|packet| [b"time", packet].concat()).collect();
        assert!(!ends_within(&stamped, 0x100));
        assert!(ends_within(&stamped[..192 * video + 60], 0x100));
        assert!(!ends_within(b"", 0) && !ends_within(&[0x47; 300], 0x100));
    }

    #[test]
    fn what_follows_a_whole_clip_is_nobodys_loss() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (name, container) in [("plain_h264.mp4", "mov"), ("fragmented.mp4", "mov"), ("mjpeg.avi", "avi")] {
            let whole = std::fs::read(clip(name)).unwrap();
            for tail in [b"a few bytes of text".as_slice(), b"\xff\xff\xff\xffmdat and more", b"\0\0", b"RIFF"] {
                std::fs::write(file.path(), [&whole, tail].concat()).unwrap();
                let is_data = tail.ends_with(b"more") && name == "fragmented.mp4";
                assert_eq!(cut(file.path(), container, 0).is_some(), is_data, "{name}: {tail:?}");
            }
        }
        // A size in the header that is too large, with all frames there.
        let mut whole = std::fs::read(clip("mjpeg.avi")).unwrap();
        whole[5] = whole[5].wrapping_add(40);
        std::fs::write(file.path(), whole).unwrap();
        assert_eq!(cut(file.path(), "avi", 0), None);
    }

    #[test]
    fn anything_else_is_not_judged() {
        for name in ["plain_h264.mp4", "text_file.mp4", "zero_bytes.mp4", "no such file"] {
            assert_eq!(cut(&clip(name), "mpegts", 0), None);
            assert_eq!(cut(&clip(name), "avi", 0), None);
            assert_eq!(cut(&clip(name), "matroska,webm", 0), None);
        }
    }
}
