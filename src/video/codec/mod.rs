//! What the packets of a codec tell about themselves, without decoding them.

mod hidden;
mod jpeg;
pub(crate) mod nal;

use hidden::{vp8_is_hidden, vp9_is_hidden};
use nal::{Layout, h264_starts_here, hevc_starts_here};

/// A codec, as far as anything depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    H264(Layout),
    Hevc(Layout),
    Vp8,
    Vp9,
    Av1,
    /// Motion JPEG: each packet is a whole picture, if it has its own tables.
    Jpeg,
    /// Each packet is a whole picture.
    Intra,
    /// VP3, VP4 and Theora, which share a decoder.
    Vp3,
    /// Any other: always decoded from the start.
    Other,
}

impl Codec {
    /// The codec by FFmpeg's name of it and its private data.
    pub(crate) fn of(name: &str, extradata: &[u8]) -> Codec {
        match name {
            "h264" => Codec::H264(Layout::of_h264(extradata)),
            "hevc" => Codec::Hevc(Layout::of_hevc(extradata)),
            "vp8" => Codec::Vp8,
            "vp9" => Codec::Vp9,
            "av1" => Codec::Av1,
            "mjpeg" => Codec::Jpeg,
            "prores" | "dnxhd" | "rawvideo" | "v210" | "huffyuv" | "ffvhuff" | "utvideo" | "magicyuv" => Codec::Intra,
            "vp3" | "vp4" | "theora" => Codec::Vp3,
            _ => Codec::Other,
        }
    }

    /// Whether decoding may start in the middle of a clip at all.
    pub(crate) fn starts_midway(self) -> bool {
        !matches!(self, Codec::Vp3 | Codec::Other)
    }

    /// True where the packet, which the container calls a keyframe, is one to start at.
    pub(crate) fn starts_here(self, data: &[u8]) -> bool {
        match self {
            Codec::H264(layout) => h264_starts_here(layout, data),
            Codec::Hevc(layout) => hevc_starts_here(layout, data),
            // A keyframe resets everything, or each packet is one.
            Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Intra => true,
            Codec::Jpeg => jpeg::has_tables(data),
            Codec::Vp3 | Codec::Other => false,
        }
    }

    /// Whether some packets may be decoded for the sake of other frames only, which the packets alone tell.
    pub(crate) fn has_hidden_packets(self) -> bool {
        matches!(self, Codec::Vp8 | Codec::Vp9)
    }

    /// True for a packet that is decoded for the sake of other frames only.
    pub(crate) fn is_hidden(self, data: &[u8]) -> bool {
        match self {
            Codec::Vp8 => vp8_is_hidden(data),
            Codec::Vp9 => vp9_is_hidden(data),
            _ => false,
        }
    }

    /// Whether the decoder makes the same pictures in every run when it has several threads. That of the VP3 family
    /// does not: of 150 readings of one Theora clip 23 differed, by a frame each; with one thread none did.
    pub(crate) fn has_steady_threads(self) -> bool {
        self != Codec::Vp3
    }
}

#[cfg(test)]
mod tests {
    use super::Codec;

    #[test]
    fn shown_and_hidden_packets() {
        let is_hidden = |name: &str, data: &[u8]| Codec::of(name, &[]).is_hidden(data);
        assert!(!is_hidden("vp8", &[0x10, 0, 0]) && is_hidden("vp8", &[0x00, 0, 0]));
        // Profile 0: marker 10, profile 00, show existing 0, frame type 1, show frame 0 or 1, error resilient 0.
        assert!(is_hidden("vp9", &[0b1000_0100, 0, 0]) && !is_hidden("vp9", &[0b1000_0110, 0, 0]));
        assert!(!is_hidden("vp9", &[0b1000_1000, 0]) && !is_hidden("vp9", &[0b1000_0100, 0, 0xc1]));
        assert!(!is_hidden("h264", &[0]) && !is_hidden("vp8", &[]) && !is_hidden("vp9", &[0x84]));
    }
}
