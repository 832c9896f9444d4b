//! Which FFmpeg this program runs with.

use std::ffi::c_uint;

use ffmpeg_next::ffi;

/// The libraries in use and their versions, for example `libavformat 59.27.100, libavcodec 59.37.100, ...`.
pub fn ffmpeg_versions() -> String {
    // SAFETY: these functions only return a number.
    let versions = unsafe {
        [
            ("libavformat", ffi::avformat_version()),
            ("libavcodec", ffi::avcodec_version()),
            ("libavutil", ffi::avutil_version()),
            ("libswscale", ffi::swscale_version()),
        ]
    };
    // AV_VERSION_INT: major, minor and micro in 16, 8 and 8 bits.
    let text = |(name, version): (&str, c_uint)| {
        format!("{name} {}.{}.{}", version >> 16, (version >> 8) & 0xff, version & 0xff)
    };
    versions.map(text).join(", ")
}
