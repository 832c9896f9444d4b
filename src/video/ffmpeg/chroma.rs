//! Chroma of half the height, made as decord's FFmpeg makes it by newer versions of libswscale.
//!
//! Where RGB has the height of the picture, each row's chroma is between two rows of chroma, a quarter of the way from
//! one of them. Up to FFmpeg 7 libswscale then takes the nearer row alone, or the mean of both where that is the upper
//! one; FFmpeg 8 interpolates. To both of them chroma at the height of the lower of its two rows is the same: as it is
//! for that row, and the mean of two for the other. That is what FFmpeg 4 to 7 make of chroma in the middle, save for
//! the last row, which they give the mean of the last two rows of chroma. [`LastRows`] are for that row.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::ffi::Picture;
use super::plane;

/// FFmpeg 8's libswscale, the first that interpolates.
const FIRST_INTERPOLATING: u32 = 9;

/// Where swscale is told the chroma is, in 256ths of a row below the upper of its two rows: at the lower one.
pub(super) const LOWER_ROW: c_int = 256;

/// As [`LOWER_ROW`], for the last rows upside down: the first of these is then half-way between two rows of chroma.
pub(super) const ABOVE_UPPER_ROW: c_int = -256;

/// How many rows are converted for the sake of the last one. With less than four rows of chroma, swscale interpolates
/// in another way.
pub(super) const LAST_ROWS: c_int = 16;

/// True for pictures of `height` rows whose chroma this libswscale interpolates and that can be made alike: that of
/// half an odd height is not twice as far apart as the rows, so that its place between them changes down the picture.
pub(super) fn must_be_moved(format: ffi::AVPixelFormat, height: c_int) -> bool {
    // SAFETY: takes and changes nothing.
    if unsafe { ffi::swscale_version() } >> 16 < FIRST_INTERPOLATING {
        return false;
    }
    let halved = plane::description(format as c_int).is_some_and(|description| description.log2_chroma_h == 1);
    halved && height >= LAST_ROWS && height % 2 == 0
}

/// The last rows of a picture, from the last one upwards.
pub(super) struct LastRows {
    pub(super) planes: [*const u8; 8],
    pub(super) line_bytes: [c_int; 8],
}

impl LastRows {
    /// Those of a picture whose chroma [`must_be_moved`].
    pub(super) fn of(picture: &Picture) -> LastRows {
        let (planes, line_bytes) = (picture.planes(), picture.line_bytes());
        let last = |index: usize| {
            let row_count = if matches!(index, 1 | 2) { picture.height() / 2 } else { picture.height() };
            let offset = (row_count - 1) as isize * line_bytes[index] as isize;
            // Unused planes are NULL, and stay so.
            if planes[index].is_null() { planes[index] } else { planes[index].wrapping_offset(offset) }.cast_const()
        };
        LastRows { planes: std::array::from_fn(last), line_bytes: line_bytes.map(|bytes| -bytes) }
    }
}
