//! Ways for the fuzz targets (`fuzz/fuzz_targets`) to the parsers of foreign bytes. Nothing else may use them.

use super::codec::nal::{Layout, h264_starts_here, hevc_starts_here, hevc_temporal_layer};
use super::index::mp4::track_offsets;
use super::isolated;

/// The contents of a `moov` box. The first bytes choose the track and its number of samples, which FFmpeg tells
/// otherwise.
pub fn moov(bytes: &[u8]) {
    let Some((&[track, count, more], moov)) = bytes.split_first_chunk() else { return };
    let count = usize::from(u16::from_be_bytes([more, count]));
    if let Some(offsets) = track_offsets(moov, i32::from(track), count) {
        assert_eq!(offsets.len(), count);
    }
}

/// A packet of H.264 or HEVC, after the codec's private data, whose length stands first.
pub fn packet(bytes: &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else { return };
    let Some((extradata, data)) = rest.split_at_checked(usize::from(length)) else { return };
    for layout in [Layout::of_h264(extradata), Layout::of_hevc(extradata)] {
        let units: usize = layout.units(data).map(|unit| unit.len()).sum();
        assert!(units <= data.len());
        h264_starts_here(layout, data);
        hevc_starts_here(layout, data);
        assert!(hevc_temporal_layer(layout, data) < 7);
    }
}

/// What a child says to its parent.
pub fn replies(bytes: &[u8]) {
    isolated::listen(bytes);
}
