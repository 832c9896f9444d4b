//! YUV of 8 bits to RGB of the same size with the nearest chroma, in the steps of libswscale's code for x86-64.
//!
//! Most clips take this way, and decord's frames were made by that code (`libswscale/x86/yuv_2_rgb.asm`, whose steps
//! are the same in FFmpeg 5.1 and 9.0). libswscale in C, as it runs on ARM or where FFmpeg was built without its
//! assembler, rounds otherwise. There pictures are converted here.

use std::ffi::c_int;

use ffmpeg_next::ffi;

use super::ffi::Picture;
use super::plane;
use crate::video::error::Fault;

/// Chroma samples that are converted together: enough that the compiler makes vector instructions of each loop.
const BLOCK: usize = 32;

/// A colour matrix, each factor in 8,192ths, for samples in eighths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Where luma is black.
    black: i16,
    luma: i16,
    red_of_v: i16,
    green_of_u: i16,
    green_of_v: i16,
    blue_of_u: i16,
}

/// True where libswscale converts without scaling and with the nearest chroma.
pub(super) fn applies(format: ffi::AVPixelFormat, from: (c_int, c_int), to: (c_int, c_int)) -> bool {
    chroma_shift(format).is_some() && from == to && from.1 % 2 == 0
}

/// How many rows share their chroma, as a power of two; `None` for formats that are converted otherwise.
fn chroma_shift(format: ffi::AVPixelFormat) -> Option<u32> {
    use ffi::AVPixelFormat::*;
    match format {
        AV_PIX_FMT_YUV420P | AV_PIX_FMT_YUVJ420P | AV_PIX_FMT_YUVA420P => Some(1),
        AV_PIX_FMT_YUV422P | AV_PIX_FMT_YUVJ422P => Some(0),
        _ => None,
    }
}

impl Matrix {
    /// The matrix of a table as `sws_getCoefficients` gives it (red of V, blue of U, green of U, green of V, in
    /// 65,536ths, for chroma of limited range), for samples of full or limited range.
    pub(super) fn new([red_of_v, blue_of_u, green_of_u, green_of_v]: [c_int; 4], is_full_range: bool) -> Self {
        let chroma = |factor: c_int| {
            let factor = i64::from(factor);
            in_8192ths(if is_full_range { factor * 224 / 255 } else { factor })
        };
        Self {
            black: if is_full_range { 0 } else { 16 * 8 },
            luma: in_8192ths(if is_full_range { 1 << 16 } else { (1 << 16) * 255 / 219 }),
            red_of_v: chroma(red_of_v),
            green_of_u: chroma(-green_of_u),
            green_of_v: chroma(-green_of_v),
            blue_of_u: chroma(blue_of_u),
        }
    }

    /// Fills `to`, in RGB24, with what is in `from`, of a format and size to which this [`applies`].
    ///
    /// # Errors
    /// Pictures that are not so.
    pub(super) fn convert(&self, from: &Picture, to: &mut Picture) -> Result<(), Fault> {
        let (width, height) = (from.width(), from.height());
        let shift = plane::pixel_format(from.format()).and_then(chroma_shift);
        let Some(shift) = shift.filter(|_| (to.width(), to.height()) == (width, height)) else {
            return Err(plane::BROKEN);
        };
        let chroma_rows = |index| plane::each_row(from, index, (height + (1 << shift) - 1) >> shift, (width + 1) / 2);
        let luma = plane::each_row(from, 0, height, width)?;
        let chroma = chroma_rows(1)?.zip(chroma_rows(2)?).flat_map(|rows| std::iter::repeat_n(rows, 1 << shift));
        let (rgb, stride) = plane::rows_mut(to, 0, height, 3 * width)?;
        for ((luma, chroma), rgb) in luma.zip(chroma).zip(rgb.chunks_mut(stride)) {
            self.row(luma, chroma, &mut rgb[..3 * width as usize]);
        }
        Ok(())
    }

    /// One row: `[W]` luma and `[(W + 1) / 2]` U and V to `[W, 3]`.
    fn row(&self, luma: &[u8], (u, v): (&[u8], &[u8]), rgb: &mut [u8]) {
        let blocks = luma.len() / (2 * BLOCK);
        let (whole_luma, last_luma) = luma.split_at(blocks * 2 * BLOCK);
        let ((whole_u, last_u), (whole_v, last_v)) = (u.split_at(blocks * BLOCK), v.split_at(blocks * BLOCK));
        let (whole_rgb, last_rgb) = rgb.split_at_mut(blocks * 6 * BLOCK);
        let chroma = whole_u.as_chunks().0.iter().zip(whole_v.as_chunks().0);
        let rows = whole_luma.as_chunks().0.iter().zip(chroma).zip(whole_rgb.as_chunks_mut().0);
        rows.for_each(|((luma, (u, v)), rgb)| self.block(luma, u, v, rgb));
        // Fewer than a block are made one.
        let mut block = [0; 6 * BLOCK];
        self.block(&padded(last_luma), &padded(last_u), &padded(last_v), &mut block);
        last_rgb.copy_from_slice(&block[..last_rgb.len()]);
    }

    /// Two neighbours share their chroma.
    fn block(&self, luma: &[u8; 2 * BLOCK], u: &[u8; BLOCK], v: &[u8; BLOCK], rgb: &mut [u8; 6 * BLOCK]) {
        let light: [i16; 2 * BLOCK] =
            std::array::from_fn(|i| high_product((i16::from(luma[i]) << 3) - self.black, self.luma));
        let mut tints = [[0; BLOCK]; 3];
        for i in 0..BLOCK {
            let [u, v] = [u[i], v[i]].map(|sample| (i16::from(sample) - 128) << 3);
            tints[0][i] = high_product(v, self.red_of_v);
            tints[1][i] = high_product(u, self.green_of_u) + high_product(v, self.green_of_v);
            tints[2][i] = high_product(u, self.blue_of_u);
        }
        let mut planes = [[0; 2 * BLOCK]; 3];
        for (plane, tints) in planes.iter_mut().zip(&tints) {
            for i in 0..BLOCK {
                plane[2 * i] = (light[2 * i] + tints[i]).clamp(0, 255) as u8;
                plane[2 * i + 1] = (light[2 * i + 1] + tints[i]).clamp(0, 255) as u8;
            }
        }
        let [red, green, blue] = &planes;
        for i in 0..2 * BLOCK {
            rgb[3 * i] = red[i];
            rgb[3 * i + 1] = green[i];
            rgb[3 * i + 2] = blue[i];
        }
    }
}

/// Samples with zeros after them.
fn padded<const N: usize>(samples: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| samples.get(i).copied().unwrap_or(0))
}

/// A factor in 65,536ths, rounded to 8,192ths.
fn in_8192ths(factor: i64) -> i16 {
    let rounded = (factor * (1 << 13) + (1 << 15)) >> 16;
    rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The upper half of a product, which rounds down.
#[inline]
fn high_product(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}
