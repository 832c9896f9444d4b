//! Frames as pictures: files of their own, and a contact sheet with a label under each.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};
use llava_video::video::{Frame, label_text};
use llava_video::vision::preprocess;

use super::exit::UsageError;

/// Width that a contact sheet fills, in pixels.
const SHEET_WIDTH: u32 = 1920;

/// A tile is at most this wide, in pixels.
const MAX_TILE_WIDTH: u32 = 480;

/// Space around tiles, in pixels.
const MARGIN: u32 = 6;

/// Labels are drawn with this many pixels for each of the font's where there is room, else with one.
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
    save(picture, &file, ImageFormat::Png)?;
    Ok(file)
}

/// Writes a picture to a file.
pub(crate) fn save(picture: &RgbImage, file: &Path, format: ImageFormat) -> Result<()> {
    picture.save_with_format(file, format).with_context(|| format!("cannot write `{}`", file.display()))
}

/// A picture as the bytes of a PNG file.
pub(crate) fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Where a contact sheet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SheetFile<'a> {
    /// `-`: PNG on standard output.
    Stdout,
    /// A file, in the format that its name says.
    Path(&'a Path, ImageFormat),
}

impl<'a> SheetFile<'a> {
    /// Reads `--contact-sheet`.
    ///
    /// # Errors
    /// Another ending than .png, .jpg and .jpeg, or a terminal to print a picture on.
    pub(crate) fn parse(file: &'a Path, stdout_is_terminal: bool) -> Result<Self, UsageError> {
        if file == Path::new("-") {
            let refused = || UsageError("--contact-sheet -: a PNG does not go to a terminal, redirect it".to_owned());
            return if stdout_is_terminal { Err(refused()) } else { Ok(Self::Stdout) };
        }
        let refused = || UsageError(format!("--contact-sheet `{}`: expected a .png or .jpg file", file.display()));
        sheet_format(file).map(|format| Self::Path(file, format)).ok_or_else(refused)
    }
}

/// The format that the name of a contact sheet says; a name without an ending gets a PNG.
pub(crate) fn sheet_format(file: &Path) -> Option<ImageFormat> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        None | Some("png") => Some(ImageFormat::Png),
        Some("jpg" | "jpeg") => Some(ImageFormat::Jpeg),
        Some(_) => None,
    }
}

/// What is written under a frame.
pub(crate) fn frame_label(index: usize, time_secs: f64) -> String {
    format!("#{index} {}", label_text(time_secs))
}

/// How the tiles of a contact sheet are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    columns: u32,
    /// Width and height of a tile in pixels.
    tile: (u32, u32),
}

impl Grid {
    /// The layout for about `count` pictures of `size` (width, height).
    pub(crate) fn new(count: usize, size: (u32, u32)) -> Self {
        let count = count.max(1) as u32;
        // As many columns as make the sheet about as wide as high, with tiles of this shape.
        let aspect = f64::from(size.0.max(1)) / f64::from(size.1.max(1));
        let columns = ((f64::from(count) / aspect).sqrt().ceil() as u32).clamp(1, count);
        let width = ((SHEET_WIDTH - MARGIN) / columns).saturating_sub(MARGIN).clamp(8, MAX_TILE_WIDTH);
        Self { columns, tile: (width, ((f64::from(width) / aspect).round() as u32).clamp(1, 4 * width)) }
    }

    /// A picture at the size it has on the sheet.
    pub(crate) fn thumbnail(self, picture: &RgbImage) -> RgbImage {
        imageops::resize(picture, self.tile.0, self.tile.1, FilterType::Triangle)
    }

    /// The sheet of these thumbnails in order, each with its label under it.
    pub(crate) fn sheet(self, tiles: &[(&RgbImage, String)]) -> RgbImage {
        let rows = (tiles.len() as u32).div_ceil(self.columns);
        let width = MARGIN + self.columns * (self.tile.0 + MARGIN);
        let height = MARGIN + rows * (self.tile.1 + LABEL_HEIGHT + MARGIN);
        let mut sheet = RgbImage::from_pixel(width, height, BACKGROUND);
        let scale = self.label_scale(tiles.iter().map(|(_, label)| label.len()).max().unwrap_or(0));
        for ((thumbnail, label), slot) in tiles.iter().zip(0..) {
            let (column, row) = (slot % self.columns, slot / self.columns);
            let x = MARGIN + column * (self.tile.0 + MARGIN);
            let y = MARGIN + row * (self.tile.1 + LABEL_HEIGHT + MARGIN);
            imageops::replace(&mut sheet, *thumbnail, i64::from(x), i64::from(y));
            // As much of it as is as wide as the tile.
            let letters = (self.tile.0 / (8 * scale)) as usize;
            draw(&mut sheet, label.chars().take(letters), (x, y + self.tile.1 + 2), scale);
        }
        sheet
    }

    /// Pixels for each of the font's: the same on the whole sheet, so that the longest label fits.
    fn label_scale(self, longest: usize) -> u32 {
        if longest as u32 * 8 * LABEL_SCALE <= self.tile.0 { LABEL_SCALE } else { 1 }
    }
}

/// Draws letters from (`x`, `y`) on to the right.
fn draw(sheet: &mut RgbImage, letters: impl Iterator<Item = char>, (x, y): (u32, u32), scale: u32) {
    for (letter, left) in letters.zip((x..).step_by(8 * scale as usize)) {
        for (bits, row) in BASIC_FONTS.get(letter).unwrap_or_default().into_iter().zip(0..) {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                for (dx, dy) in (0..scale).flat_map(|dx| (0..scale).map(move |dy| (dx, dy))) {
                    let at = (left + column * scale + dx, y + row * scale + dy);
                    if let Some(pixel) = sheet.get_pixel_mut_checked(at.0, at.1) {
                        *pixel = INK;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_of_any_count_holds_all_its_tiles() {
        for count in [1, 2, 7, 8, 110, 1000] {
            for size in [(1280, 720), (240, 320), (16, 2000), (2000, 16)] {
                let grid = Grid::new(count, size);
                let white = RgbImage::from_pixel(grid.tile.0, grid.tile.1, Rgb([255, 255, 255]));
                // A clip may turn out to have other frames than the grid was made for.
                for count in [count, 1, count + 50] {
                    let sheet = grid.sheet(&vec![(&white, String::new()); count]);
                    let white_pixels = sheet.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
                    assert_eq!(white_pixels, count * (grid.tile.0 * grid.tile.1) as usize, "{count} {size:?}");
                    assert!(sheet.width() <= SHEET_WIDTH.max(2000 * 14), "{count} {size:?}");
                }
            }
        }
    }

    /// Heights of what is drawn under the tiles of one row, tile by tile.
    fn label_heights(grid: Grid, labels: &[&str]) -> Vec<u32> {
        let black = RgbImage::new(grid.tile.0, grid.tile.1);
        let tiles: Vec<_> = labels.iter().map(|label| (&black, (*label).to_owned())).collect();
        let sheet = grid.sheet(&tiles);
        let has_ink = |y: u32, left: u32| (left..left + grid.tile.0).any(|x| *sheet.get_pixel(x, y) == INK);
        let height = |slot: u32| {
            let left = MARGIN + slot * (grid.tile.0 + MARGIN);
            let rows: Vec<u32> = (0..sheet.height()).filter(|&y| has_ink(y, left)).collect();
            rows.last().zip(rows.first()).map_or(0, |(last, first)| last - first + 1)
        };
        (0..labels.len() as u32).map(height).collect()
    }

    #[test]
    fn all_labels_of_a_sheet_have_one_size() {
        let grid = Grid { columns: 3, tile: (130, 73) };
        let (small, large) = (label_heights(grid, &["#1"])[0], label_heights(grid, &["#1 0.00s x"])[0]);
        assert!(large < small, "{small} {large}: a long label takes smaller letters");
        assert_eq!(label_heights(grid, &["#1", "#1 0.00s x", "#1"]), [large; 3]);
        assert_eq!(label_heights(grid, &["#1", "#11", "#1"]), [small; 3]);
    }

    #[test]
    fn the_name_of_a_sheet_says_its_format() {
        let format = |name: &str| match SheetFile::parse(Path::new(name), false) {
            Ok(SheetFile::Path(_, format)) => Some(format),
            _ => None,
        };
        assert_eq!([format("a.png"), format("a.PNG"), format("dir.x/a")], [Some(ImageFormat::Png); 3]);
        assert_eq!([format("a.jpg"), format("a.b.JPEG")], [Some(ImageFormat::Jpeg); 2]);
        assert_eq!([format("a.gif"), format("a.webp"), format("a.pdf")], [None; 3]);
        assert!(matches!(SheetFile::parse(Path::new("-"), false), Ok(SheetFile::Stdout)));
        assert!(SheetFile::parse(Path::new("-"), true).is_err());
    }
}
