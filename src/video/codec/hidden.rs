//! Packets that are decoded and never shown ("alternate reference"), told from their first bytes.

/// True for a VP8 packet that holds nothing but a frame other frames refer to.
///
/// Source: RFC 6386, section 9.1 (bit 4 of the first byte is `show_frame`).
pub(crate) fn vp8_is_hidden(data: &[u8]) -> bool {
    data.first().is_some_and(|first| first & 0x10 == 0)
}

/// As [`vp8_is_hidden`], for VP9.
///
/// Source: the VP9 bitstream specification, section 6.2 and annex B (a superframe's last frame is shown, and its last
/// byte marks it as one).
pub(crate) fn vp9_is_hidden(data: &[u8]) -> bool {
    let [first, .., last] = data else {
        return false;
    };
    let is_superframe = last & 0xe0 == 0xc0;
    // Two bits of marker and two of profile come first; profile 3 has one reserved bit more.
    let shift = if first & 0x30 == 0x30 { 1 } else { 0 };
    let bits = first << shift;
    let shows_existing = bits & 0x08 != 0;
    let shown = bits & 0x02 != 0;
    first & 0xc0 == 0x80 && !is_superframe && !shows_existing && !shown
}
