//! libswscale's scalers, one for each kind of picture, set up as decord's are.
//!
//! The settings were measured to be bit-exact with decord 0.6.0, whose frames the model was trained on:
//! `SWS_BILINEAR` alone, and the colour matrix and range of the frame itself. An untagged frame is BT.601 in limited
//! range whatever its size; no tone is mapped, no field is woven and alpha is dropped. [`chroma`] has what newer
//! versions of libswscale do otherwise.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::OnceLock;

use ffmpeg_next::ffi;
use ffmpeg_next::software::scaling::Flags;

use super::chroma::{self, LastRows};
use super::ffi::{OUT_OF_MEMORY, Picture, check};
use super::nearest::{self, Matrix};
use super::plane;
use super::portable::portably;
use crate::video::error::Fault;

const RGB24: ffi::AVPixelFormat = ffi::AVPixelFormat::AV_PIX_FMT_RGB24;

/// A `SwsContext` made for one kind of picture.
pub(super) struct Scaler {
    context: NonNull<ffi::SwsContext>,
    kind: Kind,
    /// Where swscale writes; its lines are padded. (With RGB lines of exactly `3 * width` bytes swscale leaves the last
    /// `width % 8` columns unwritten.)
    output: Picture,
    /// For the last row of pictures whose chroma [`chroma::must_be_moved`], from the last rows upside down.
    last_row: Option<Box<Scaler>>,
    /// Converts in place of swscale.
    nearest: Option<Matrix>,
}

// SAFETY: the context belongs to the scaler alone, and is not tied to a thread.
unsafe impl Send for Scaler {}

impl Scaler {
    /// What it wrote last.
    pub(super) fn output(&self) -> &Picture {
        &self.output
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { ffi::sws_freeContext(self.context.as_ptr()) };
    }
}

/// Everything a scaler depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    width: c_int,
    height: c_int,
    format: ffi::AVPixelFormat,
    space: c_int,
    /// As the frame says; `None` leaves it to the pixel format.
    full_range: Option<bool>,
}

/// Scales `picture` to the size and format given with `scaler`, which is made anew if it is for others.
pub(super) fn scale<'a>(
    scaler: &'a mut Option<Scaler>,
    picture: &Picture,
    (width, height): (u32, u32),
    format: ffi::AVPixelFormat,
) -> Result<&'a mut Picture, Fault> {
    let kind = kind_of(picture)?;
    let fits = |Scaler { kind: old, output, .. }: &Scaler| {
        (*old, output.format()) == (kind, format as c_int)
            && (output.width() as u32, output.height() as u32) == (width, height)
    };
    let ready = match scaler.take() {
        Some(old) if fits(&old) => old,
        _ => new_scaler(kind, width, height, format)?,
    };
    let Scaler { context, output, last_row, nearest, .. } = scaler.insert(ready);
    if let Some(matrix) = nearest {
        matrix.convert(picture, output)?;
        return Ok(output);
    }
    let planes = picture.planes().map(<*mut u8>::cast_const);
    // SAFETY: the context was made for pictures such as this one, which owns all the lines it names.
    unsafe { convert(*context, (planes, picture.line_bytes()), picture.height(), output)? };
    if let Some(Scaler { context, output: turned, .. }) = last_row.as_deref_mut() {
        let LastRows { planes, line_bytes } = LastRows::of(picture);
        // SAFETY: as above; the picture has at least as many rows as are read upwards from its last ones.
        unsafe { convert(*context, (planes, line_bytes), chroma::LAST_ROWS, turned)? };
        let (height, row_bytes) = (output.height(), 3 * output.width());
        let (row, _) = plane::rows(turned, 0, 1, row_bytes)?;
        let (rows, stride) = plane::rows_mut(output, 0, height, row_bytes)?;
        rows[stride * (height as usize - 1)..].copy_from_slice(row);
    }
    Ok(output)
}

/// Converts the `row_count` rows that begin at `planes`, `line_bytes` apart, to the whole of `output`.
///
/// # Safety
/// `context` was made for `row_count` such rows, which can be read, and for the size and format of `output`.
unsafe fn convert(
    context: NonNull<ffi::SwsContext>,
    (planes, line_bytes): ([*const u8; 8], [c_int; 8]),
    row_count: c_int,
    output: &mut Picture,
) -> Result<(), Fault> {
    let (to, to_lines) = (output.planes(), output.line_bytes());
    // SAFETY: as the caller vouches; `output` owns all the lines it names.
    check(unsafe {
        ffi::sws_scale(
            context.as_ptr(),
            planes.as_ptr(),
            line_bytes.as_ptr(),
            0,
            row_count,
            to.as_ptr(),
            to_lines.as_ptr(),
        )
    })?;
    Ok(())
}

/// What of a picture matters to the scaler.
fn kind_of(picture: &Picture) -> Result<Kind, Fault> {
    let format = plane::pixel_format(picture.format()).ok_or(Fault(ffi::AVERROR_INVALIDDATA))?;
    const FULL: c_int = ffi::AVColorRange::AVCOL_RANGE_JPEG as c_int;
    const UNSPECIFIED: c_int = ffi::AVColorRange::AVCOL_RANGE_UNSPECIFIED as c_int;
    Ok(Kind {
        width: picture.width(),
        height: picture.height(),
        format,
        space: picture.color_space(),
        full_range: (picture.color_range() != UNSPECIFIED).then_some(picture.color_range() == FULL),
    })
}

fn new_scaler(kind: Kind, width: u32, height: u32, format: ffi::AVPixelFormat) -> Result<Scaler, Fault> {
    let to_rgb = format == RGB24;
    let to_size = (width as c_int, height as c_int);
    if to_rgb && nearest::applies(kind.format, (kind.width, kind.height), to_size) && !is_of_x86_64() {
        let mut scaler = scaler_with(kind, width, height, format, None)?;
        scaler.nearest = Some(matrix(&scaler)?);
        return Ok(scaler);
    }
    if to_rgb && u32::try_from(kind.height) == Ok(height) && chroma::must_be_moved(kind.format, kind.height) {
        let last = Kind { height: chroma::LAST_ROWS, ..kind };
        let turned = scaler_with(last, width, last.height as u32, format, Some(chroma::ABOVE_UPPER_ROW))?;
        let mut scaler = scaler_with(kind, width, height, format, Some(chroma::LOWER_ROW))?;
        scaler.last_row = Some(Box::new(turned));
        return Ok(scaler);
    }
    // FFmpeg's scale filter puts the chroma of this one format half-way between rows, which matters when the size
    // changes.
    let half_way = (kind.format == ffi::AVPixelFormat::AV_PIX_FMT_YUV420P).then_some(128);
    scaler_with(kind, width, height, format, half_way)
}

/// True where this libswscale converts as its code for x86-64 does, without scaling and with the nearest chroma. It is
/// asked once.
fn is_of_x86_64() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let picture = samples(ffi::AVPixelFormat::AV_PIX_FMT_YUV420P, (64, 2));
        picture.and_then(|picture| trial(&picture)).unwrap_or(false)
    })
}

/// A picture of many colours.
fn samples(format: ffi::AVPixelFormat, (width, height): (c_int, c_int)) -> Result<Picture, Fault> {
    let mut picture = Picture::allocate(format as c_int, width, height)?;
    let chroma_shift = plane::description(format as c_int).map_or(0, |description| description.log2_chroma_h);
    for (index, step) in [61, 89, 103].into_iter().enumerate() {
        let (width, height) = if index == 0 { (width, height) } else { ((width + 1) / 2, height >> chroma_shift) };
        let (rows, _) = plane::rows_mut(&mut picture, index, height, width)?;
        rows.iter_mut().zip(0u32..).for_each(|(sample, i)| *sample = (i * step + 7) as u8);
    }
    Ok(picture)
}

/// Converts a picture by swscale and by [`nearest`], and compares.
fn trial(picture: &Picture) -> Result<bool, Fault> {
    let (width, height) = (picture.width(), picture.height());
    let mut swscale = scaler_with(kind_of(picture)?, width as u32, height as u32, RGB24, None)?;
    let mut ours = Picture::allocate(RGB24 as c_int, width, height)?;
    matrix(&swscale)?.convert(picture, &mut ours)?;
    let planes = picture.planes().map(<*mut u8>::cast_const);
    // SAFETY: the context was made for pictures such as this one, which owns all the lines it names.
    unsafe { convert(swscale.context, (planes, picture.line_bytes()), height, &mut swscale.output)? };
    let rows = |picture| plane::each_row(picture, 0, height, 3 * width);
    Ok(rows(&ours)?.eq(rows(&swscale.output)?))
}

/// A scaler for chroma that is so many 256ths of a row below the upper of its rows, or where swscale has it.
fn scaler_with(
    kind: Kind,
    width: u32,
    height: u32,
    format: ffi::AVPixelFormat,
    chroma_place: Option<c_int>,
) -> Result<Scaler, Fault> {
    let too_large = Fault(ffi::AVERROR(ffi::EINVAL));
    let to_width = c_int::try_from(width).map_err(|_| too_large)?;
    let to_height = c_int::try_from(height).map_err(|_| too_large)?;
    let output = Picture::allocate(format as c_int, to_width, to_height)?;
    // SAFETY: allocates; NULL is handled.
    let context = NonNull::new(unsafe { ffi::sws_alloc_context() }).ok_or(OUT_OF_MEMORY)?;
    let scaler = Scaler { context, kind, output, last_row: None, nearest: None };
    let mut settings = vec![
        (c"sws_flags", Flags::BILINEAR.bits()),
        (c"srcw", kind.width),
        (c"srch", kind.height),
        (c"src_format", kind.format as c_int),
        (c"dstw", to_width),
        (c"dsth", to_height),
        (c"dst_format", format as c_int),
    ];
    if let Some(place) = chroma_place {
        settings.push((c"src_v_chr_pos", place));
    }
    let pointer = scaler.context.as_ptr();
    for (name, value) in settings {
        // SAFETY: a valid context, which starts with its class, as the options need it; the name is a C string.
        check(unsafe { ffi::av_opt_set_int(pointer.cast(), name.as_ptr(), i64::from(value), 0) })?;
    }
    portably(|| {
        // SAFETY: a valid context; filters are not given.
        check(unsafe { ffi::sws_init_context(pointer, std::ptr::null_mut(), std::ptr::null_mut()) })?;
        set_colour(&scaler);
        Ok(scaler)
    })
}

/// What a context knows of colours.
struct Colours {
    from_table: *mut c_int,
    from_full: c_int,
    to_full: c_int,
    brightness: c_int,
    contrast: c_int,
    saturation: c_int,
}

/// What the context knows of colours; an error if it is for a conversion that knows no matrix.
fn colours(scaler: &Scaler) -> Result<Colours, Fault> {
    let (mut from_table, mut to_table) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (mut from_full, mut to_full, mut brightness, mut contrast, mut saturation) = (0, 0, 0, 0, 0);
    // SAFETY: a valid context, and room for each answer.
    check(unsafe {
        ffi::sws_getColorspaceDetails(
            scaler.context.as_ptr(),
            &mut from_table,
            &mut from_full,
            &mut to_table,
            &mut to_full,
            &mut brightness,
            &mut contrast,
            &mut saturation,
        )
    })?;
    Ok(Colours { from_table, from_full, to_full, brightness, contrast, saturation })
}

/// The matrix with which the context converts to RGB.
fn matrix(scaler: &Scaler) -> Result<Matrix, Fault> {
    let Colours { from_table, from_full, .. } = colours(scaler)?;
    // SAFETY: the context's own table of four factors.
    Ok(Matrix::new(unsafe { from_table.cast::<[c_int; 4]>().read() }, from_full != 0))
}

/// Sets the colour matrix and the range of the frame, as FFmpeg's scale filter does: what the frame does not say is
/// left as swscale has it.
fn set_colour(scaler: &Scaler) {
    let Ok(Colours { from_full, to_full, brightness, contrast, saturation, .. }) = colours(scaler) else {
        return;
    };
    let pointer = scaler.context.as_ptr();
    // RGB has no matrix of its own; swscale still goes through one for deep colour.
    let space = if scaler.kind.space == 0 { ffi::SWS_CS_ITU601 as c_int } else { scaler.kind.space };
    // SAFETY: returns a static table for every number, the BT.601 one where it knows no better.
    let table = unsafe { ffi::sws_getCoefficients(space) };
    let from_full = scaler.kind.full_range.map_or(from_full, c_int::from);
    // Samples that stay YUV stay in their range.
    let to_rgb = scaler.output.format() == RGB24 as c_int;
    let to_full = if to_rgb { to_full } else { from_full };
    // A refusal leaves the context usable, so it is not looked at.
    // SAFETY: a valid context and table.
    unsafe {
        ffi::sws_setColorspaceDetails(pointer, table, from_full, table, to_full, brightness, contrast, saturation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where swscale is compiled for x86-64 with an assembler; elsewhere the frames' tests compare with decord's.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn swscale_and_nearest_chroma_agree() {
        use ffi::AVPixelFormat::*;
        let formats =
            [AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVA420P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P];
        let agrees = |format, size, (space, range)| {
            let mut picture = samples(format, size).expect("memory");
            picture.set_colour(space, range);
            trial(&picture).expect("both convert")
        };
        for format in formats {
            for width in (1..=140).chain([639, 640, 1279]) {
                let size = (width, 2 * (1 + width % 5));
                assert!(agrees(format, size, (2, 0)), "{format:?} {size:?}");
            }
            for colour in [1, 2, 5, 7, 9].into_iter().flat_map(|space| [0, 1, 2].map(|range| (space, range))) {
                assert!(agrees(format, (320, 64), colour), "{format:?}, colour space and range {colour:?}");
            }
        }
    }
}
