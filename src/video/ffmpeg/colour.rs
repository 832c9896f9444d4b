//! FFmpeg's names for how pixels are stored and what colours they mean.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::ffi::text;
use super::plane;

/// FFmpeg's names of a pixel format (empty where unknown), a colour matrix and a colour range, by its numbers of them
/// ([`super::source::Source::colour`]).
pub(crate) fn names([format, space, range]: [c_int; 3]) -> (String, String, String) {
    let format = plane::description(format).map_or_else(String::new, |description| {
        // SAFETY: descriptions are static, their names too.
        unsafe { text(description.name) }
    });
    (format, color_space_name(space), color_range_name(range))
}

/// FFmpeg's name of a colour matrix; `unknown` for a number that is none.
fn color_space_name(number: c_int) -> String {
    let known = 0..ffi::AVColorSpace::AVCOL_SPC_NB as c_int;
    // SAFETY: the enumeration has the representation of a C int and a variant for every number below AVCOL_SPC_NB; the
    // call returns a static string or NULL.
    let name =
        |number| unsafe { text(ffi::av_color_space_name(std::mem::transmute::<c_int, ffi::AVColorSpace>(number))) };
    if known.contains(&number) { name(number) } else { "unknown".to_owned() }
}

/// FFmpeg's name of a colour range; `unknown` for a number that is none.
fn color_range_name(number: c_int) -> String {
    let known = 0..ffi::AVColorRange::AVCOL_RANGE_NB as c_int;
    // SAFETY: as in `color_space_name`.
    let name =
        |number| unsafe { text(ffi::av_color_range_name(std::mem::transmute::<c_int, ffi::AVColorRange>(number))) };
    if known.contains(&number) { name(number) } else { "unknown".to_owned() }
}
