//! Writes QuickTime files box by box, for what no muxer writes: samples that share their bytes, or have none.

use std::ops::Range;
use std::path::Path;

/// Writes a file with one track of Motion JPEG at `fps` frames per second. Each sample is a range of `data`; all are
/// keyframes.
pub(crate) fn write(path: &Path, (width, height): (u16, u16), fps: u32, data: &[u8], samples: &[Range<usize>]) {
    let file_type = boxed(b"ftyp", &[b"qt  ", words(&[0]).as_slice(), b"qt  "].concat());
    let data_start = file_type.len() + 8;
    let count = samples.len() as u32;
    let sizes = samples.iter().map(|sample| sample.len() as u32);
    let places = samples.iter().map(|sample| (data_start + sample.start) as u32);
    // Reference 1, version, vendor, qualities, size, 72 dpi; 1 frame a sample, a name of 32 bytes, depth, no colours.
    let facts = [0, 1, 0, 0, 0, 0, u32::from(width) << 16 | u32::from(height), 72 << 16, 72 << 16, 0, 1 << 16];
    let entry = [words(&facts), vec![0; 28], words(&[24]), vec![0xff; 2]].concat();
    let table = [
        boxed(b"stsd", &[words(&[0, 1]), boxed(b"jpeg", &entry)].concat()),
        boxed(b"stts", &words(&[0, 1, count, 1])),
        boxed(b"stsc", &words(&[0, 1, 1, 1, 1])),
        boxed(b"stsz", &[words(&[0, 0, count]), words(&sizes.collect::<Vec<_>>())].concat()),
        boxed(b"stco", &[words(&[0, count]), words(&places.collect::<Vec<_>>())].concat()),
    ];
    let handler = boxed(b"hdlr", &[words(&[0]), b"mhlrvide".to_vec(), vec![0; 13]].concat());
    let reference = boxed(b"dref", &[words(&[0, 1]), boxed(b"alis", &words(&[1]))].concat());
    let information = [boxed(b"vmhd", &words(&[1, 0, 0])), boxed(b"dinf", &reference), boxed(b"stbl", &table.concat())];
    let media = [boxed(b"mdhd", &words(&[0, 0, 0, fps, count, 0])), handler, boxed(b"minf", &information.concat())];
    let matrix = words(&[1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
    let size = words(&[u32::from(width) << 16, u32::from(height) << 16]);
    let track = [words(&[15, 0, 0, 1, 0, count, 0, 0, 0, 0]), matrix.clone(), size].concat();
    let track = boxed(b"trak", &[boxed(b"tkhd", &track), boxed(b"mdia", &media.concat())].concat());
    let header = [words(&[0, 0, 0, fps, count, 1 << 16, 1 << 24, 0, 0]), matrix, words(&[0, 0, 0, 0, 0, 0, 2])];
    let movie = boxed(b"moov", &[boxed(b"mvhd", &header.concat()), track].concat());
    std::fs::write(path, [file_type, boxed(b"mdat", data), movie].concat()).unwrap();
}

fn boxed(kind: &[u8; 4], inner: &[u8]) -> Vec<u8> {
    [&(inner.len() as u32 + 8).to_be_bytes(), kind.as_slice(), inner].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
