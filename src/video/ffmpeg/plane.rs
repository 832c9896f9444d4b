//! The planes of a decoded picture as slices, and turning them before they are converted.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::ffi::Picture;
use super::orientation::Orientation;
use crate::video::error::Fault;

/// A picture FFmpeg describes in a way that does not add up.
pub(super) const BROKEN: Fault = Fault(ffi::AVERROR_INVALIDDATA);

/// A frame's pixel format as the bindings' enumeration.
pub(crate) fn pixel_format(format: c_int) -> Option<ffi::AVPixelFormat> {
    let known = 0..ffi::AVPixelFormat::AV_PIX_FMT_NB as c_int;
    // SAFETY: the enumeration has the representation of a C int and, being made from the headers of the very FFmpeg
    // that is linked, a variant for every number below AV_PIX_FMT_NB.
    known.contains(&format).then(|| unsafe { std::mem::transmute::<c_int, ffi::AVPixelFormat>(format) })
}

/// FFmpeg's description of a pixel format.
pub(crate) fn description(format: c_int) -> Option<&'static ffi::AVPixFmtDescriptor> {
    // SAFETY: returns NULL or a pointer to a static description.
    unsafe { ffi::av_pix_fmt_desc_get(pixel_format(format)?).as_ref() }
}

/// The bytes of `row_count` rows of `row_bytes` bytes in plane `index`, and their distance in bytes.
pub(crate) fn rows(
    picture: &Picture,
    index: usize,
    row_count: c_int,
    row_bytes: c_int,
) -> Result<(&[u8], usize), Fault> {
    let length = length(picture, index, row_count, row_bytes)?;
    // SAFETY: FFmpeg owns `height` lines of `linesize` bytes from `data` on; the length covers no more than the
    // last line's pixels, and was checked to be positive with the pointer not NULL.
    let bytes = unsafe { std::slice::from_raw_parts(picture.planes()[index], length) };
    Ok((bytes, picture.line_bytes()[index] as usize))
}

/// The `row_count` rows of plane `index`, `row_bytes` bytes each, which may lie upwards in memory.
pub(super) fn each_row(
    picture: &Picture,
    index: usize,
    row_count: c_int,
    row_bytes: c_int,
) -> Result<impl Iterator<Item = &[u8]>, Fault> {
    let (first, stride) = (picture.planes()[index].cast_const(), picture.line_bytes()[index] as isize);
    let row_count = isize::try_from(row_count).map_err(|_| BROKEN)?;
    let row_bytes = usize::try_from(row_bytes).map_err(|_| BROKEN)?;
    if first.is_null() || stride.unsigned_abs() < row_bytes {
        return Err(BROKEN);
    }
    // SAFETY: FFmpeg owns `height` lines from `data` on, `linesize` bytes apart and at least as long as the row is.
    Ok((0..row_count).map(move |row| unsafe { std::slice::from_raw_parts(first.offset(row * stride), row_bytes) }))
}

/// As [`rows`], to write to.
pub(super) fn rows_mut(
    picture: &mut Picture,
    index: usize,
    row_count: c_int,
    row_bytes: c_int,
) -> Result<(&mut [u8], usize), Fault> {
    let length = length(picture, index, row_count, row_bytes)?;
    let line_bytes = picture.line_bytes()[index] as usize;
    // SAFETY: as in `rows`; the picture was allocated here, so nobody else reads or writes it.
    let bytes = unsafe { std::slice::from_raw_parts_mut(picture.planes()[index], length) };
    Ok((bytes, line_bytes))
}

/// Length in bytes from the start of a plane to the end of its last row.
fn length(picture: &Picture, index: usize, row_count: c_int, row_bytes: c_int) -> Result<usize, Fault> {
    let stride = usize::try_from(picture.line_bytes()[index]).map_err(|_| BROKEN)?;
    let row_count = usize::try_from(row_count).map_err(|_| BROKEN)?;
    let row_bytes = usize::try_from(row_bytes).map_err(|_| BROKEN)?;
    if picture.planes()[index].is_null() || row_count == 0 || row_bytes == 0 || stride < row_bytes {
        return Err(BROKEN);
    }
    Ok(stride * (row_count - 1) + row_bytes)
}

/// One plane of a format: bytes a pixel, and the chroma shift of its size.
#[derive(Clone, Copy)]
struct Plane {
    step: c_int,
    shift: u8,
}

/// AV_PIX_FMT_FLAG_PAL, _BITSTREAM, _HWACCEL and _BAYER of libavutil/pixdesc.h.
const UNMOVABLE: u64 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 8;

/// The format to convert to before a quarter turn, for formats whose chroma is subsampled more in one direction than
/// in the other; `None` for all others.
///
/// These are the formats that decord 0.6.0's filter graph (FFmpeg 4.1) puts in front of its transposition.
pub(crate) fn even_format(format: c_int) -> Option<ffi::AVPixelFormat> {
    use ffi::AVPixelFormat::*;
    let description = description(format)?;
    if description.flags & UNMOVABLE != 0 || description.log2_chroma_w == description.log2_chroma_h {
        return None;
    }
    Some(match pixel_format(format)? {
        AV_PIX_FMT_YUVJ422P | AV_PIX_FMT_YUVJ440P | AV_PIX_FMT_YUVJ411P => AV_PIX_FMT_YUVJ444P,
        _ if description.comp[0].depth > 8 => AV_PIX_FMT_YUV444P16LE,
        _ => AV_PIX_FMT_YUV444P,
    })
}

/// The planes of formats whose pixels can be moved about whole: no packed or uneven subsampling, no bit streams, no
/// palettes, no hardware.
fn planes(format: c_int) -> Option<Vec<Plane>> {
    let description = description(format)?;
    let shift = description.log2_chroma_w;
    if description.flags & UNMOVABLE != 0 || shift != description.log2_chroma_h {
        return None;
    }
    let mut planes: Vec<Option<Plane>> = vec![None; 4];
    for (index, component) in description.comp.iter().take(usize::from(description.nb_components)).enumerate() {
        let chroma = matches!(index, 1 | 2);
        let shift = if chroma { shift } else { 0 };
        let place = planes.get_mut(usize::try_from(component.plane).ok()?)?;
        match place {
            // Luma and subsampled chroma in one plane.
            Some(plane) if plane.shift != shift || plane.step != component.step => return None,
            _ => *place = Some(Plane { step: component.step, shift }),
        }
    }
    let count = planes.iter().take_while(|plane| plane.is_some()).count();
    let planes: Vec<Plane> = planes.into_iter().flatten().collect();
    (count == planes.len() && planes.iter().all(|plane| (1..=16).contains(&plane.step))).then_some(planes)
}

/// Turns whole pictures, and keeps the memory for the next.
pub(crate) struct Turner {
    orientation: Orientation,
    turned: Option<Picture>,
}

impl Turner {
    pub(crate) fn new(orientation: Orientation) -> Turner {
        Turner { orientation, turned: None }
    }

    /// The picture as shown, or `None` where there is nothing to turn or its format cannot be turned as it is.
    pub(crate) fn turn(&mut self, picture: &Picture) -> Result<Option<&Picture>, Fault> {
        if self.orientation == Orientation::NONE {
            return Ok(None);
        }
        let Some(planes) = planes(picture.format()) else {
            return Ok(None);
        };
        let (width, height) = self.orientation.size(picture.width() as u32, picture.height() as u32);
        let (width, height) = (width as c_int, height as c_int);
        let fits = |old: &Picture| (old.format(), old.width(), old.height()) == (picture.format(), width, height);
        let mut turned = match self.turned.take() {
            Some(old) if fits(&old) => old,
            _ => Picture::allocate(picture.format(), width, height)?,
        };
        turned.set_colour(picture.color_space(), picture.color_range());
        for (index, plane) in planes.iter().enumerate() {
            let part = |length: c_int| (length + (1 << plane.shift) - 1) >> plane.shift;
            let (from, from_stride) = rows(picture, index, part(picture.height()), part(picture.width()) * plane.step)?;
            let (to, to_stride) = rows_mut(&mut turned, index, part(height), part(width) * plane.step)?;
            let size = (part(width) as usize, part(height) as usize);
            self.orientation.apply(from, from_stride, to, to_stride, size, plane.step as usize);
        }
        Ok(Some(self.turned.insert(turned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffi::AVPixelFormat::*;

    #[test]
    fn formats_to_turn_by_way_of() {
        let even = |format: ffi::AVPixelFormat| even_format(format as c_int);
        for format in [AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV411P, AV_PIX_FMT_YUV440P, AV_PIX_FMT_UYVY422] {
            assert_eq!(even(format), Some(AV_PIX_FMT_YUV444P), "{format:?}");
        }
        assert_eq!(even(AV_PIX_FMT_YUVJ422P), Some(AV_PIX_FMT_YUVJ444P));
        assert_eq!(even(AV_PIX_FMT_YUV422P10LE), Some(AV_PIX_FMT_YUV444P16LE));
        for format in [AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_PAL8, AV_PIX_FMT_RGB24] {
            assert_eq!(even(format), None, "{format:?}");
        }
    }

    #[test]
    fn formats_that_can_be_turned() {
        let count = |format: ffi::AVPixelFormat| planes(format as c_int).map(|planes| planes.len());
        assert_eq!(count(AV_PIX_FMT_YUV420P), Some(3));
        assert_eq!(count(AV_PIX_FMT_YUV420P10LE), Some(3));
        assert_eq!(count(AV_PIX_FMT_YUVA420P), Some(4));
        assert_eq!(count(AV_PIX_FMT_NV12), Some(2));
        assert_eq!(count(AV_PIX_FMT_GRAY8), Some(1));
        assert_eq!(count(AV_PIX_FMT_RGB24), Some(1));
        assert_eq!(count(AV_PIX_FMT_GBRP), Some(3));
        for format in [AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUYV422, AV_PIX_FMT_PAL8, AV_PIX_FMT_MONOBLACK] {
            assert_eq!(count(format), None, "{format:?}");
        }
        assert!(planes(-1).is_none() && planes(c_int::MAX).is_none());
    }
}
