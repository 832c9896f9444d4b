//! Frames as pictures: PNG files, and a contact sheet with a label under each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use llava_video::video::Frame;
use llava_video::vision::preprocess;

/// Width that a contact sheet fills, in pixels.
const SHEET_WIDTH: u32 = 1920;

/// A tile is at most this wide, in pixels.
const MAX_TILE_WIDTH: u32 = 480;

/// Space around tiles, in pixels.
const MARGIN: u32 = 6;

/// Labels are drawn with this many pixels for each of the font's.
const LABEL_SCALE: u32 = 2;

/// Height of a label, in pixels.
const LABEL_HEIGHT: u32 = 8 * LABEL_SCALE + 4;

const BACKGROUND: Rgb<u8> = Rgb([24, 24, 24]);
const INK: Rgb<u8> = Rgb([240, 240, 240]);

/// What the pictures show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The frame as it is.
    Frame,
    /// What the vision tower gets: resized to a square of this side.
    Model(usize),
}

impl Look {
    /// The picture of a frame.
    pub(crate) fn picture(self, frame: Frame) -> RgbImage {
        let (width, height, rgb) = match self {
            Self::Frame => (frame.width, frame.height, frame.rgb),
            Self::Model(side) => {
                let rgb = preprocess::resize(&frame.rgb, frame.width as usize, frame.height as usize, side);
                (side as u32, side as u32, rgb)
            }
        };
        RgbImage::from_raw(width, height, rgb).unwrap_or_default()
    }
}

/// Writes a frame's picture into `dir` and returns the file.
pub(crate) fn write_png(dir: &Path, index: usize, picture: &RgbImage) -> Result<PathBuf> {
    let file = dir.join(format!("frame_{index:06}.png"));
    save(picture, &file)?;
    Ok(file)
}

fn save(picture: &RgbImage, file: &Path) -> Result<()> {
    // The format is ours to say, whatever the name ends in.
    picture
        .save_with_format(file, image::ImageFormat::Png)
        .with_context(|| format!("cannot write `{}`", file.display()))
}

/// A labelled grid of small pictures, filled one by one in any order.
pub(crate) struct ContactSheet {
    sheet: RgbImage,
    columns: u32,
    tile: (u32, u32),
}

impl ContactSheet {
    /// An empty sheet for `count` pictures of `size` (width, height).
    pub(crate) fn new(count: usize, size: (u32, u32)) -> Self {
        let count = count.max(1) as u32;
        // As many columns as make the sheet about as wide as high, with tiles of this shape.
        let aspect = f64::from(size.0.max(1)) / f64::from(size.1.max(1));
        let columns = ((f64::from(count) / aspect).sqrt().ceil() as u32).clamp(1, count);
        let width = ((SHEET_WIDTH - MARGIN) / columns).saturating_sub(MARGIN).clamp(8, MAX_TILE_WIDTH);
        let tile = (width, ((f64::from(width) / aspect).round() as u32).clamp(1, 4 * width));
        let rows = count.div_ceil(columns);
        let full = (MARGIN + columns * (tile.0 + MARGIN), MARGIN + rows * (tile.1 + LABEL_HEIGHT + MARGIN));
        Self { sheet: RgbImage::from_pixel(full.0, full.1, BACKGROUND), columns, tile }
    }

    /// A picture at the size it has on the sheet.
    pub(crate) fn thumbnail(&self, picture: &RgbImage) -> RgbImage {
        imageops::resize(picture, self.tile.0, self.tile.1, FilterType::Triangle)
    }

    /// Puts a thumbnail at place `slot`, its label under it.
    pub(crate) fn put(&mut self, slot: usize, thumbnail: &RgbImage, label: &str) {
        let (column, row) = (slot as u32 % self.columns, slot as u32 / self.columns);
        let x = MARGIN + column * (self.tile.0 + MARGIN);
        let y = MARGIN + row * (self.tile.1 + LABEL_HEIGHT + MARGIN);
        imageops::replace(&mut self.sheet, thumbnail, i64::from(x), i64::from(y));
        self.draw(label, x, y + self.tile.1 + 2);
    }

    /// Draws text as wide as the tile, no wider.
    fn draw(&mut self, text: &str, x: u32, y: u32) {
        // Narrow tiles take smaller letters.
        let scale = if text.len() as u32 * 8 * LABEL_SCALE <= self.tile.0 { LABEL_SCALE } else { 1 };
        for (position, letter) in text.chars().take((self.tile.0 / (8 * scale)) as usize).enumerate() {
            let left = x + position as u32 * 8 * scale;
            for (row, bits) in BASIC_FONTS.get(letter).unwrap_or_default().into_iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    for (dx, dy) in (0..scale).flat_map(|dx| (0..scale).map(move |dy| (dx, dy))) {
                        let at = (left + column * scale + dx, y + row as u32 * scale + dy);
                        if let Some(pixel) = self.sheet.get_pixel_mut_checked(at.0, at.1) {
                            *pixel = INK;
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        save(&self.sheet, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_of_any_count_holds_all_its_tiles() {
        for count in [1, 2, 7, 8, 110, 1000] {
            for size in [(1280, 720), (240, 320), (16, 2000), (2000, 16)] {
                let mut sheet = ContactSheet::new(count, size);
                let white = RgbImage::from_pixel(sheet.tile.0, sheet.tile.1, Rgb([255, 255, 255]));
                for slot in 0..count {
                    sheet.put(slot, &white, "");
                }
                let white_pixels = sheet.sheet.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
                assert_eq!(white_pixels, count * (sheet.tile.0 * sheet.tile.1) as usize, "{count} {size:?}");
                assert!(sheet.sheet.width() <= SHEET_WIDTH.max(2000 * 14), "{count} {size:?}");
            }
        }
    }

    #[test]
    fn labels_are_drawn() {
        let mut sheet = ContactSheet::new(1, (320, 240));
        let black = RgbImage::new(sheet.tile.0, sheet.tile.1);
        sheet.put(0, &black, "#12 0.40s");
        assert!(sheet.sheet.pixels().filter(|pixel| **pixel == INK).count() > 100);
    }
}
