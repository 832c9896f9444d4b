//! The inverse transform of the decoders of MPEG's kind (MPEG-1 to 4, H.263, MJPEG), chosen so that pictures are those
//! of x86-64 on every processor.
//!
//! What FFmpeg takes by default on ARM rounds otherwise than what it takes on x86-64, and the differences grow from
//! picture to picture. Its transform in C gives what x86-64's gives. FFmpeg itself takes another one for streams that
//! XviD made, unless it is told which to take.

use std::ffi::c_int;

use ffmpeg_next::ffi;

/// What begins user data in a stream of MPEG-4, ISO/IEC 14496-2.
const USER_DATA: [u8; 4] = [0, 0, 1, 0xb2];

/// How containers tag what XviD made, or others by its rules.
const XVID_TAGS: [&[u8; 4]; 5] = [b"XVID", b"XVIX", b"RMP4", b"ZMP4", b"SIPP"];

/// What the user data of other encoders begins with.
const OTHERS: [&[u8]; 4] = [b"DivX", b"FFmpe", b"ffmpeg", b"Lavc"];

/// The transform to tell a decoder of; `None` leaves it to FFmpeg. `tag` and `extradata` are of the stream's
/// parameters.
pub(super) fn algorithm(codec: ffi::AVCodecID, tag: u32, extradata: &[u8]) -> Option<c_int> {
    let leave_it =
        cfg!(target_arch = "x86_64") || (codec == ffi::AVCodecID::AV_CODEC_ID_MPEG4 && is_of_xvid(tag, extradata));
    (!leave_it).then_some(ffi::FF_IDCT_SIMPLE as c_int)
}

/// True for streams of MPEG-4 that XviD made, as FFmpeg tells them: by its name in user data, or by the container's tag
/// where nobody else is named. FFmpeg also looks into later user data.
fn is_of_xvid(tag: u32, extradata: &[u8]) -> bool {
    let starts = extradata.windows(USER_DATA.len()).enumerate().filter(|(_, bytes)| *bytes == USER_DATA);
    let texts: Vec<&[u8]> = starts.map(|(index, _)| &extradata[index + USER_DATA.len()..]).collect();
    let is_xvids = |text: &&[u8]| matches!(text, [b'X', b'v', b'i', b'D', b'0'..=b'9', ..]);
    let is_anothers = |text: &&[u8]| OTHERS.iter().any(|name| text.starts_with(name));
    let is_tagged = XVID_TAGS.contains(&&tag.to_le_bytes().map(|letter| letter.to_ascii_uppercase()));
    texts.iter().any(is_xvids) || (is_tagged && !texts.iter().any(is_anothers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_xvid_are_told_by_name_or_tag() {
        let of = |tag: &[u8; 4], user_data: &[&str]| {
            let parts = user_data.iter().flat_map(|text| [&USER_DATA[..], text.as_bytes()]);
            let extradata = [&[0, 0, 1, 0xb0, 1][..]].into_iter().chain(parts).collect::<Vec<_>>().concat();
            is_of_xvid(u32::from_le_bytes(*tag), &extradata)
        };
        assert!(of(b"mp4v", &["XviD0069"]));
        assert!(of(b"FMP4", &["Lavc58.54.100", "XviD0050"]));
        assert!(of(b"xvid", &[]) && of(b"XVID", &["anything else"]));
        assert!(!of(b"xvid", &["Lavc58.54.100"]) && !of(b"XVID", &["DivX503b1393p"]));
        assert!(!of(b"mp4v", &[]) && !of(b"DIVX", &["XviD"]) && !of(b"mp4v", &["Lavc58.54.100"]));
    }
}
