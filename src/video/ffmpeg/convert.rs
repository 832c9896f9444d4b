//! Decoded pictures to packed RGB24 as they are shown.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::ffi::{OUT_OF_MEMORY, Picture};
use super::orientation::Orientation;
use super::plane;
use super::scaler::{Scaler, scale};
use crate::video::error::Fault;

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
        let (rows, stride) = plane::rows(scaler.output(), 0, scaler.output().height(), 3 * scaler.output().width())?;
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
