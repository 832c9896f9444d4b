//! Packets that are decoded and never shown, told from their first bytes.

/// True for a VP8 or VP9 packet that holds nothing but a frame other frames refer to ("alternate reference").
///
/// Sources: RFC 6386, section 9.1 (bit 4 of the first byte is `show_frame`); the VP9 bitstream specification,
/// sections 6.2 and annex B (a superframe's last frame is shown, and its last byte marks it as one).
pub(crate) fn is_hidden(codec: &str, data: &[u8]) -> bool {
    match (codec, data) {
        ("vp8", [first, ..]) => first & 0x10 == 0,
        ("vp9", [first, .., last]) => {
            let is_superframe = last & 0xe0 == 0xc0;
            // Two bits of marker and two of profile come first; profile 3 has one reserved bit more.
            let shift = if first & 0x30 == 0x30 { 1 } else { 0 };
            let bits = first << shift;
            let shows_existing = bits & 0x08 != 0;
            let shown = bits & 0x02 != 0;
            first & 0xc0 == 0x80 && !is_superframe && !shows_existing && !shown
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_hidden;

    #[test]
    fn shown_and_hidden_packets() {
        assert!(!is_hidden("vp8", &[0x10, 0, 0]) && is_hidden("vp8", &[0x00, 0, 0]));
        // Profile 0: marker 10, profile 00, show existing 0, frame type 1, show frame 0 or 1, error resilient 0.
        assert!(is_hidden("vp9", &[0b1000_0100, 0, 0]) && !is_hidden("vp9", &[0b1000_0110, 0, 0]));
        assert!(!is_hidden("vp9", &[0b1000_1000, 0]) && !is_hidden("vp9", &[0b1000_0100, 0, 0xc1]));
        assert!(!is_hidden("h264", &[0]) && !is_hidden("vp8", &[]) && !is_hidden("vp9", &[0x84]));
    }
}
