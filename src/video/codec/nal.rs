//! NAL units of H.264 and HEVC packets: can decoding start at a packet, and does anything refer to it.
//!
//! Sources: ITU-T H.264 (7.3.1, 7.4.1, D.1.8 recovery point), ITU-T H.265 (7.3.1.2, table 7-1), ISO/IEC 14496-15
//! (the `avcC` and `hvcC` records, whose length fields say how units are told apart).

/// Bytes of an SEI unit that are looked at; recovery points come early in short units.
const MAX_SEI_BYTES: usize = 4096;

/// How units follow each other in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Start codes; packets carry their own parameter sets.
    StartCodes,
    /// Lengths of so many bytes; parameter sets are with the container.
    Lengths(usize),
}

impl Layout {
    /// The layout that the private data of H.264 (`avcC`, or start codes) tells.
    pub(crate) fn of_h264(extradata: &[u8]) -> Layout {
        Layout::told_at(4, extradata)
    }

    /// The layout that the private data of HEVC (`hvcC`, or start codes) tells.
    pub(crate) fn of_hevc(extradata: &[u8]) -> Layout {
        Layout::told_at(21, extradata)
    }

    fn told_at(place: usize, extradata: &[u8]) -> Layout {
        match (extradata.first(), extradata.get(place)) {
            (Some(1), Some(byte)) => Layout::Lengths(usize::from(byte & 3) + 1),
            _ => Layout::StartCodes,
        }
    }

    /// The first bytes of each unit of a packet.
    pub(crate) fn heads(self, data: &[u8]) -> impl Iterator<Item = Head> {
        self.units(data).map(|unit| {
            let mut head = [0; 3];
            head.iter_mut().zip(unit).for_each(|(to, &from)| *to = from);
            head
        })
    }

    /// The units of a packet, without start codes or lengths; ends early where the packet makes no sense.
    pub(crate) fn units(self, data: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = match self {
            Layout::StartCodes => after_start_code(data).unwrap_or_default(),
            Layout::Lengths(_) => data,
        };
        std::iter::from_fn(move || match self {
            Layout::StartCodes => {
                if rest.is_empty() {
                    return None;
                }
                let next = after_start_code(rest);
                let end = next.map_or(rest.len(), |next| rest.len() - next.len() - 3);
                let unit = &rest[..end];
                rest = next.unwrap_or_default();
                Some(unit)
            }
            Layout::Lengths(bytes) => {
                let (length, data) = rest.split_at_checked(bytes)?;
                let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
                let (unit, data) = data.split_at_checked(length)?;
                rest = data;
                Some(unit)
            }
        })
        .filter(|unit| !unit.is_empty())
    }
}

/// The first three bytes of a unit; zeros where it is shorter.
pub(crate) type Head = [u8; 3];

/// What follows the first start code (00 00 01).
fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    let place = data.windows(3).position(|three| three == [0, 0, 1])?;
    data.get(place + 3..)
}

/// True where a decoder that starts at this H.264 packet shows it, and all that is presented after it, exactly as a
/// decoder that came from the start of the clip: an IDR picture, or an exact recovery point that takes no time.
pub(crate) fn h264_starts_here(layout: Layout, data: &[u8]) -> bool {
    let (mut idr, mut recovery, mut sequence, mut picture) = (false, false, false, false);
    for unit in layout.units(data) {
        match unit[0] & 0x1f {
            // Slices come last; what matters comes before them.
            1 => break,
            5 => {
                idr = true;
                break;
            }
            6 => recovery |= has_exact_recovery_point(&unit[1..]),
            7 => sequence = true,
            8 => picture = true,
            _ => {}
        }
    }
    (idr || recovery) && (layout != Layout::StartCodes || (sequence && picture))
}

/// Looks for a recovery point message with a count of 0 and the exact-match flag.
fn has_exact_recovery_point(unit: &[u8]) -> bool {
    let mut payload = Vec::with_capacity(unit.len().min(MAX_SEI_BYTES));
    let mut zeros = 0;
    for &byte in unit.iter().take(MAX_SEI_BYTES) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    let mut rest = payload.as_slice();
    // A type and a size are each a run of 255s and a last byte, to be added up.
    let number = |rest: &mut &[u8]| {
        let run = rest.iter().take_while(|&&byte| byte == 255).count();
        let last = usize::from(*rest.get(run)?);
        *rest = &rest[run + 1..];
        Some(255 * run + last)
    };
    while let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) {
        let Some((message, after)) = rest.split_at_checked(size) else {
            return false;
        };
        // recovery_frame_cnt is ue(v): 0 is the single bit 1. exact_match_flag is the bit after it.
        if kind == 6 && message.first().is_some_and(|byte| byte & 0xc0 == 0xc0) {
            return true;
        }
        rest = after;
    }
    false
}

/// True where a decoder that starts at this HEVC packet shows it, and all that is presented after it, exactly: an
/// intra random access point.
pub(crate) fn hevc_starts_here(layout: Layout, data: &[u8]) -> bool {
    let (mut sequence, mut picture) = (false, false);
    for unit in layout.units(data) {
        match unit[0] >> 1 & 0x3f {
            kind @ 0..=31 => {
                return (16..=21).contains(&kind) && (layout != Layout::StartCodes || (sequence && picture));
            }
            33 => sequence = true,
            34 => picture = true,
            _ => {}
        }
    }
    false
}

/// Watches a sequence of HEVC packets for places where a decoder drops frames that have packets: those it still holds
/// and those shown before a keyframe, if that keyframe starts a sequence of its own. An end of sequence or of bitstream
/// does so, a broken link, or a flag of the keyframe.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HevcSequence {
    has_packets: bool,
    has_ended: bool,
    /// True once a keyframe dropped frames before it.
    pub(crate) restarts: bool,
}

impl HevcSequence {
    /// Takes the next packet, by the heads of its units.
    pub(crate) fn push(&mut self, heads: impl Iterator<Item = Head>) {
        let had_packets = std::mem::replace(&mut self.has_packets, true);
        for [first, _, third] in heads {
            match first >> 1 & 0x3f {
                36 | 37 => self.has_ended = true,
                // A broken link, or `no_output_of_prior_pics_flag`, the second bit after the unit's header.
                kind @ 16..=23 => {
                    let drops = self.has_ended || kind <= 18 || third & 0x40 != 0;
                    self.restarts |= had_packets && drops;
                    self.has_ended = false;
                }
                _ => {}
            }
        }
    }
}

/// The temporal layer of an HEVC packet, 0 being the base.
///
/// A picture that is no reference in its own layer may still be one for the layers above it.
pub(crate) fn hevc_temporal_layer(layout: Layout, data: &[u8]) -> u8 {
    layout
        .units(data)
        .find(|unit| unit[0] >> 1 & 0x3f < 32)
        .and_then(|unit| unit.get(1))
        .map_or(0, |byte| (byte & 7).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: Layout = Layout::Lengths(4);

    fn packet(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes(), *unit].concat()).collect()
    }

    #[test]
    fn layouts_are_told_from_private_data() {
        assert_eq!(Layout::of_h264(&[1, 100, 0, 30, 0xff, 0xe1]), Layout::Lengths(4));
        assert_eq!(Layout::of_h264(&[0, 0, 0, 1, 0x67]), Layout::StartCodes);
        assert_eq!(Layout::of_h264(&[]), Layout::StartCodes);
        let mut record = [0; 23];
        (record[0], record[21]) = (1, 1);
        assert_eq!(Layout::of_hevc(&record), Layout::Lengths(2));
    }

    #[test]
    fn h264_needs_an_idr_or_an_exact_recovery_point() {
        assert!(h264_starts_here(LENGTHS, &packet(&[&[0x09, 0xf0], &[0x65, 1]])));
        assert!(!h264_starts_here(LENGTHS, &packet(&[&[0x41, 1]])));
        let recovery = |byte: u8| packet(&[&[0x06, 5, 1, 9, 6, 1, byte, 0x80], &[0x41, 1]]);
        assert!(h264_starts_here(LENGTHS, &recovery(0xc4)));
        assert!(!h264_starts_here(LENGTHS, &recovery(0x84)), "no exact match");
        assert!(!h264_starts_here(LENGTHS, &recovery(0x44)), "a count of 1");
        assert!(!h264_starts_here(LENGTHS, &[0, 0, 0, 200, 0x65]), "cut short");
        let with_sets = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 1];
        assert!(h264_starts_here(Layout::StartCodes, &with_sets));
        assert!(!h264_starts_here(Layout::StartCodes, &with_sets[10..]));
    }

    #[test]
    fn hevc_sequences_end() {
        let watch = |packets: &[&[&[u8]]]| {
            let mut sequence = HevcSequence::default();
            packets.iter().for_each(|units| sequence.push(LENGTHS.heads(&packet(units))));
            sequence.restarts
        };
        let (clean, trailing, end): (&[u8], &[u8], &[u8]) = (&[0x2a, 1, 0x80], &[0x02, 1, 0x80], &[0x48, 1]);
        assert!(!watch(&[&[clean], &[trailing], &[clean]]));
        assert!(watch(&[&[clean], &[trailing, end], &[clean]]), "at the end of a packet");
        assert!(watch(&[&[clean], &[trailing], &[end, clean]]), "at the start of one");
        assert!(!watch(&[&[clean], &[trailing, end]]), "at the very end");
        assert!(watch(&[&[clean], &[&[0x20, 1, 0x80]]]), "a broken link");
        assert!(watch(&[&[clean], &[&[0x28, 1, 0xc0]]]), "frames are not to be output");
        assert!(!watch(&[&[&[0x20, 1, 0xc0]], &[trailing], &[clean]]), "nothing before");
    }

    #[test]
    fn hevc_needs_a_random_access_point() {
        assert!(hevc_starts_here(LENGTHS, &packet(&[&[0x46, 1], &[0x2a, 1]])));
        assert!(!hevc_starts_here(LENGTHS, &packet(&[&[0x02, 1]])));
        assert_eq!(hevc_temporal_layer(LENGTHS, &packet(&[&[0x46, 1], &[0x02, 3]])), 2);
        assert_eq!(hevc_temporal_layer(LENGTHS, &[]), 0);
    }
}
