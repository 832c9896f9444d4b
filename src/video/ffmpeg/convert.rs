//! Decoded pictures to packed RGB24, as libswscale's bilinear scaler makes them.
//!
//! The settings were measured to be bit-exact with decord 0.6.0, whose frames the model was trained on:
//! `SWS_BILINEAR` alone, and the colour matrix and range of the frame itself. An untagged frame is BT.601 in limited
//! range whatever its size; no tone is mapped, no field is woven and alpha is dropped.

use std::ffi::c_int;
use std::ptr::NonNull;

use ffmpeg_next::ffi;
use ffmpeg_next::software::scaling::Flags;

use super::ffi::{OUT_OF_MEMORY, Picture, check};
use super::orientation::Orientation;
use super::plane;
use crate::video::error::Fault;

/// A `SwsContext` made for one kind of picture.
struct Scaler {
    context: NonNull<ffi::SwsContext>,
    kind: Kind,
    /// Where swscale writes; its lines are padded. (With RGB lines of exactly `3 * width` bytes swscale leaves the last
    /// `width % 8` columns unwritten.)
    output: Picture,
}

// SAFETY: the context belongs to the scaler alone, and is not tied to a thread.
unsafe impl Send for Scaler {}

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

/// Converts pictures of one stream; the scaler is kept while pictures stay of a kind.
pub(crate) struct Converter {
    orientation: Orientation,
    /// Shown size in pixels; pictures of another size are scaled to it.
    size: (u32, u32),
    scaler: Option<Scaler>,
    /// Makes chroma as fine along the rows as down them, where it is not and the two are to be swapped.
    evener: Option<Scaler>,
    turned: plane::Turner,
}

impl Converter {
    /// A converter to pictures of `size` pixels (width, height; as shown, after `orientation`).
    pub(crate) fn new(orientation: Orientation, size: (u32, u32)) -> Converter {
        Converter { orientation, size, scaler: None, evener: None, turned: plane::Turner::new(orientation) }
    }

    /// The picture as rows of packed RGB, `3 * width * height` bytes.
    pub(crate) fn rgb(&mut self, picture: &Picture) -> Result<Vec<u8>, Fault> {
        let rgb24 = ffi::AVPixelFormat::AV_PIX_FMT_RGB24;
        let picture = match plane::even_format(picture.format()) {
            Some(even) if self.orientation.transpose => even_chroma(&mut self.evener, picture, even)?,
            _ => picture,
        };
        // Like decord's filter graph, turn the planes first where that can be done, since chroma that is interpolated
        // down the rows is not the chroma that is interpolated along them.
        match self.turned.turn(picture)? {
            Some(turned) => {
                scale(&mut self.scaler, turned, self.size, rgb24)?;
                self.copy(Orientation::NONE)
            }
            None => {
                let stored_size = self.orientation.size(self.size.0, self.size.1);
                scale(&mut self.scaler, picture, stored_size, rgb24)?;
                self.copy(self.orientation)
            }
        }
    }

    /// The scaler's rows without their padding, turned if they are not yet.
    fn copy(&self, orientation: Orientation) -> Result<Vec<u8>, Fault> {
        let Some(scaler) = &self.scaler else {
            return Err(OUT_OF_MEMORY);
        };
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let (rows, stride) = plane::rows(&scaler.output, 0, scaler.output.height(), 3 * scaler.output.width())?;
        if orientation == Orientation::NONE {
            // Nearly always; memory that is written once need not be cleared first.
            let mut rgb = Vec::with_capacity(3 * width * height);
            rows.chunks(stride).take(height).for_each(|row| rgb.extend_from_slice(&row[..3 * width]));
            return Ok(rgb);
        }
        let mut rgb = vec![0; 3 * width * height];
        orientation.apply(rows, stride, &mut rgb, 3 * width, (width, height), 3);
        Ok(rgb)
    }
}

/// `picture` in the format `even`, its chroma as fine as its luma.
fn even_chroma<'a>(
    evener: &'a mut Option<Scaler>,
    picture: &Picture,
    even: ffi::AVPixelFormat,
) -> Result<&'a Picture, Fault> {
    let size = (picture.width() as u32, picture.height() as u32);
    let output = scale(evener, picture, size, even)?;
    // decord keeps the samples, but takes them for limited range unless the format itself says otherwise.
    let range = match even {
        ffi::AVPixelFormat::AV_PIX_FMT_YUVJ444P => ffi::AVColorRange::AVCOL_RANGE_JPEG,
        _ => ffi::AVColorRange::AVCOL_RANGE_MPEG,
    };
    output.set_colour(picture.color_space(), range as c_int);
    Ok(output)
}

/// Scales `picture` to the size and format given with `scaler`, which is made anew if it is for others.
fn scale<'a>(
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
    let scaler = scaler.insert(ready);
    let (from, from_lines) = (picture.planes(), picture.line_bytes());
    let (to, to_lines) = (scaler.output.planes(), scaler.output.line_bytes());
    // SAFETY: the context was made for the size and format of both pictures; both own all the lines they name.
    check(unsafe {
        ffi::sws_scale(
            scaler.context.as_ptr(),
            from.as_ptr().cast(),
            from_lines.as_ptr(),
            0,
            picture.height(),
            to.as_ptr(),
            to_lines.as_ptr(),
        )
    })?;
    Ok(&mut scaler.output)
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
    let too_large = Fault(ffi::AVERROR(ffi::EINVAL));
    let to_width = c_int::try_from(width).map_err(|_| too_large)?;
    let to_height = c_int::try_from(height).map_err(|_| too_large)?;
    let output = Picture::allocate(format as c_int, to_width, to_height)?;
    // SAFETY: allocates; NULL is handled.
    let context = NonNull::new(unsafe { ffi::sws_alloc_context() }).ok_or(OUT_OF_MEMORY)?;
    let scaler = Scaler { context, kind, output };
    let mut settings = vec![
        (c"sws_flags", Flags::BILINEAR.bits()),
        (c"srcw", kind.width),
        (c"srch", kind.height),
        (c"src_format", kind.format as c_int),
        (c"dstw", to_width),
        (c"dsth", to_height),
        (c"dst_format", format as c_int),
    ];
    // FFmpeg's scale filter puts the chroma of this one format half-way between rows, which matters when the size
    // changes.
    if kind.format == ffi::AVPixelFormat::AV_PIX_FMT_YUV420P {
        settings.push((c"src_v_chr_pos", 128));
    }
    let pointer = scaler.context.as_ptr();
    for (name, value) in settings {
        // SAFETY: a valid context, which starts with its class, as the options need it; the name is a C string.
        check(unsafe { ffi::av_opt_set_int(pointer.cast(), name.as_ptr(), i64::from(value), 0) })?;
    }
    // SAFETY: a valid context; filters are not given.
    check(unsafe { ffi::sws_init_context(pointer, std::ptr::null_mut(), std::ptr::null_mut()) })?;
    set_colour(&scaler);
    Ok(scaler)
}

/// Sets the colour matrix and the range of the frame, as FFmpeg's scale filter does: what the frame does not say is
/// left as swscale has it.
fn set_colour(scaler: &Scaler) {
    let pointer = scaler.context.as_ptr();
    let (mut from, mut to) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (mut from_full, mut to_full, mut brightness, mut contrast, mut saturation) = (0, 0, 0, 0, 0);
    // SAFETY: a valid context, and room for each answer.
    let known = check(unsafe {
        ffi::sws_getColorspaceDetails(
            pointer,
            &mut from,
            &mut from_full,
            &mut to,
            &mut to_full,
            &mut brightness,
            &mut contrast,
            &mut saturation,
        )
    });
    if known.is_err() {
        // A conversion that knows no colour matrix.
        return;
    }
    // RGB has no matrix of its own; swscale still goes through one for deep colour.
    let space = if scaler.kind.space == 0 { ffi::SWS_CS_ITU601 as c_int } else { scaler.kind.space };
    // SAFETY: returns a static table for every number, the BT.601 one where it knows no better.
    let table = unsafe { ffi::sws_getCoefficients(space) };
    let from_full = scaler.kind.full_range.map_or(from_full, c_int::from);
    // Samples that stay YUV stay in their range.
    let to_rgb = scaler.output.format() == ffi::AVPixelFormat::AV_PIX_FMT_RGB24 as c_int;
    let to_full = if to_rgb { to_full } else { from_full };
    // A refusal leaves the context usable, so it is not looked at.
    // SAFETY: a valid context and table.
    unsafe {
        ffi::sws_setColorspaceDetails(pointer, table, from_full, table, to_full, brightness, contrast, saturation);
    }
}
