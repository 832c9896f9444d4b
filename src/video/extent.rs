//! Is a file as long as its container says? Read from a few header bytes, without FFmpeg, which is silent about it.
//!
//! Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and RFC 9559 (EBML sizes, Segment), Microsoft's RIFF description.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Boxes looked at in one file; real files have a handful before the first fragment.
const MAX_BOXES: usize = 4096;

/// A file that is shorter than its container says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes there are.
    pub(super) have_bytes: u64,
    /// Bytes there should be, as far as is known.
    pub(super) want_bytes: u64,
}

/// Compares the length of a file with what its container states; `None` where they agree or nothing is stated.
pub(super) fn cut(path: &Path, container: &str) -> Option<Cut> {
    let mut file = File::open(path).ok()?;
    let have_bytes = file.metadata().ok()?.len();
    let want_bytes = match container.split(',').next()? {
        "mov" => boxes(&mut file).ok()?.last().map(|last| last.end),
        "matroska" => matroska_end(&mut file).ok()?,
        "avi" => riff_end(&mut file).ok()?,
        _ => None,
    }?;
    (want_bytes > have_bytes).then_some(Cut { have_bytes, want_bytes })
}

/// A box of an MP4 or QuickTime file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mp4Box {
    pub(super) kind: [u8; 4],
    /// Offset of its first byte after the header.
    pub(super) start: u64,
    /// Offset of the byte after its last; beyond the end of the file if that is cut short.
    pub(super) end: u64,
}

/// The boxes on the top level, as far as they make sense.
pub(super) fn boxes(file: &mut File) -> Result<Vec<Mp4Box>> {
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

/// End of an AVI file's first chunk, if a size is stated.
fn riff_end(file: &mut File) -> Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let [name, size] = [read_four(file)?, read_four(file)?];
    let size = u64::from(u32::from_le_bytes(size));
    Ok((name == *b"RIFF" && size > 0 && size != u64::from(u32::MAX)).then_some(size + 8))
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
            assert_eq!(cut(&clip(name), "mov,mp4"), None, "{name}");
        }
        for name in ["vp9.webm", "vfr.mkv", "no_duration_live.webm", "tiny_2x2.mkv"] {
            assert_eq!(cut(&clip(name), "matroska,webm"), None, "{name}");
        }
        assert_eq!(cut(&clip("mjpeg.avi"), "avi"), None);
    }

    #[test]
    fn cut_files_are_found() {
        assert!(cut(&clip("trunc_half_faststart.mp4"), "mov,mp4").is_some());
        assert!(cut(&clip("trunc_half.mkv"), "matroska,webm").is_some());
    }

    #[test]
    fn anything_else_is_not_judged() {
        for name in ["plain_h264.mp4", "text_file.mp4", "zero_bytes.mp4", "no such file"] {
            assert_eq!(cut(&clip(name), "mpegts"), None);
            assert_eq!(cut(&clip(name), "avi"), None);
            assert_eq!(cut(&clip(name), "matroska,webm"), None);
        }
    }
}
